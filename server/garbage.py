"""When the garbage collector looks at what connections hold: hardly ever.

A full collection looks at every object that it was not told to pass over (`gc.freeze`), and takes half a second with
what 5 000 connections hold. What is frozen is not freed if it becomes cyclic garbage, so it is thawed once many
connections have gone, until a full collection has seen it.

Python looks at new objects when so many more were made than were freed. Thousands of connections replace old objects by
new ones, ping by ping, so that tens of thousands are new before it does; hence they are looked at in every tick.
"""

import gc

_RAMP = 250  # connections more, or fewer, at the least, before anything is done
_AGEING = 3  # ticks after which what was new is looked at once more


class Garbage:
    def __init__(self) -> None:
        self._frozen = 0  # connections whose objects are passed over
        self._thawed: int | None = None  # how many full collections there had been when all was thawed
        self._ticks = 0

    def start(self) -> None:
        """What was made until now lives as long as the server."""
        gc.freeze()

    def tend(self, connections: int) -> None:
        """To be called every now and then. connections: how many there are."""
        if connections < self._frozen - max(_RAMP, self._frozen // 4):
            gc.unfreeze()
            self._thawed, self._frozen = _full_collections(), connections
        elif self._thawed is not None:
            if _full_collections() > self._thawed:
                self._freeze(connections)
        elif connections > self._frozen + _RAMP:
            self._freeze(connections)
        if connections > _RAMP:
            self._ticks += 1
            gc.collect(0 if self._ticks % _AGEING else 1)

    def _freeze(self, connections: int) -> None:
        gc.freeze()
        self._thawed, self._frozen = None, connections


def _full_collections() -> int:
    return int(gc.get_stats()[2]["collections"])
