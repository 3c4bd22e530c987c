"""What is counted and shown: metrics that actors count, and the exporter that reads rows and streams."""
