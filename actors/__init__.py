"""The actors: facts come in, one transaction happens, facts go out. None calls another.

gate      recommendations -> decision, reservation, approved order (or a refusal that says why)
executor  approved orders -> Alpaca
tracker   fills -> positions, in the transaction that reads them
exit      ticks and time -> closing orders
feeds     Alpaca's sockets and REST -> fills and ticks
reconciler  Alpaca's book against our rows
"""
