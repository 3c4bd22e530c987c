"""Facts on Redis Streams: at least once, in order, and never silently lost.

``consumer`` reads, ``delivery`` decides what a failure means, ``broker`` puts both under
dramatiq's Worker; ``publish``, ``dead``, ``record``, ``replay``, ``progress`` and ``trim``
are what people and other programs do with the same streams.
"""
