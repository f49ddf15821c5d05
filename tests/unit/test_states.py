import pytest

from runner.errors import Conflict
from runner.states import ACTIVE, IN_ATTEMPT, TERMINAL, TRANSITIONS, Status, Trigger, follow

# The diagram in the README, edge by edge, written a second time on purpose.
DIAGRAM = {
    "PENDING --run--> QUEUED",
    "FAILED --run--> QUEUED",
    "CANCELLED --run--> QUEUED",
    "QUEUED --claim--> RUNNING",
    "QUEUED --stop--> CANCELLED",
    "RUNNING --ask--> WAITING",
    "WAITING --answer--> RUNNING",
    "RUNNING --stop--> STOPPING",
    "WAITING --stop--> STOPPING",
    "RUNNING --succeed--> SUCCEEDED",
    "RUNNING --fail--> FAILED",
    "WAITING --fail--> FAILED",
    "STOPPING --end stop--> CANCELLED",
    "RUNNING --lose--> FAILED",
    "WAITING --lose--> FAILED",
}
EVERY_STEP = [(status, trigger) for status in Status for trigger in Trigger]


@pytest.mark.parametrize(("status", "trigger"), EVERY_STEP, ids=lambda value: str(value))
def test_every_step(status: Status, trigger: Trigger) -> None:
    """A step that is in the diagram leads where it says; every other one raises, and names where it is possible."""
    led = {edge for edge in DIAGRAM if edge.startswith(f"{status} --{trigger}--> ")}
    if led:
        assert f"{status} --{trigger}--> {follow(status, trigger)}" in led
        return
    with pytest.raises(Conflict) as refusal:
        follow(status, trigger)
    assert status in str(refusal.value)
    for edge in DIAGRAM:
        if f" --{trigger}--> " in edge:
            assert edge.split()[0] in str(refusal.value)


def test_the_table_cannot_be_changed() -> None:
    """The table is a constant."""
    with pytest.raises(TypeError):
        TRANSITIONS[Status.SUCCEEDED, Trigger.RUN] = Status.QUEUED  # type: ignore[index]


def test_the_kinds_of_status() -> None:
    """Every status is pending, active or terminal, and only one of them."""
    assert {Status.PENDING} | ACTIVE | TERMINAL == set(Status)
    assert not ACTIVE & TERMINAL
    assert IN_ATTEMPT == ACTIVE - {Status.QUEUED}


def test_every_attempt_can_end() -> None:
    """Whatever happens within an attempt, the loss of its process leads to a terminal status."""
    for status in IN_ATTEMPT - {Status.STOPPING}:
        assert follow(status, Trigger.LOSE) in TERMINAL
    assert follow(Status.STOPPING, Trigger.END_STOP) in TERMINAL
