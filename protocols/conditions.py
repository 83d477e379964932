"""The conditions of a station that are true now, and the code that stays for the person who comes later: pure."""

from __future__ import annotations

from protocols.faults import Code, FaultClass, fault_class

_PASSING = frozenset({Code.STARTING, Code.STOPPING})
"""No fault of anything: they keep Ready low but are not latched in FAULT_CODE."""


class Conditions:
    """Active codes in the order they began, and the newest latched one (a degradation never hides a fault)."""

    def __init__(self) -> None:
        self.latched = 0
        self._active: dict[Code, None] = {}

    def set(self, code: Code, active: bool) -> bool:
        """Begin or end a condition; True when that is news."""
        if (code in self._active) == active:
            return False
        if active:
            self._active[code] = None
            if code not in _PASSING:
                self.latch(code)
        else:
            del self._active[code]
        return True

    def latch(self, code: Code) -> None:
        """Keep a code until `clear`."""
        cls = fault_class(code)
        if cls is FaultClass.FAULT or (cls is FaultClass.DEGRADED and not self.fault_latched):
            self.latched = int(code)

    def clear(self) -> None:
        """Forget what is latched; conditions still true are latched again at once."""
        self.latched = 0
        for code in self._active:
            if code not in _PASSING:
                self.latch(code)

    def holds(self, *codes: Code) -> bool:
        """True while any of these is active."""
        return any(code in self._active for code in codes)

    def first(self, cls: FaultClass) -> Code:
        """The active condition of a class that began first: the likely cause of the others; NONE if there is none."""
        return next((code for code in self._active if fault_class(code) is cls), Code.NONE)

    @property
    def fault_latched(self) -> bool:
        return self.latched != 0 and fault_class(self.latched) is FaultClass.FAULT
