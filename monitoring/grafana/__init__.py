"""The dashboards as code: ``python -m monitoring.grafana`` writes ``dashboards/*.json``.

A tool for development: it needs grafana-foundation-sdk, and nothing that runs imports it.
"""
