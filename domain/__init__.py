"""The rules of the house. Pure: no I/O, no clock, no randomness, no float.

Everything above imports this package; it imports only the standard library.
Read in this order: money, ids, instrument, events, account, session, orders, positions, gates, sizing, exits.
"""
