"""The heart: protocol state machines without sockets, clocks or randomness.

Every machine has the same interface (`machine.Machine`): bytes and the time go in, events come out. Counterpart
of each machine is named in its module. `uzel.net.runner` drives any of them over a real stream; tests drive two
of them against each other in memory.
"""
