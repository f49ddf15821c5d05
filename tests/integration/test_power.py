"""A power failure takes back events that clients have seen: they are told, and read the log that there is now."""

from pathlib import Path

from tests.power import Disk
from tests.support import Server, client, ids, watch, watch_task


async def test_clients_begin_again(tmp_path: Path) -> None:
    """Over every transport, whoever holds lost events meets a new epoch, and has from 0 on what is there now."""
    with Server(tmp_path / "data") as server:
        async with client(server) as api:
            task_id = await api.create()
            disk = Disk(server.data)
            await api.run(task_id)
            await api.until_succeeded(task_id)
            before = await api.page(task_id)
        server.kill()
    disk.lose_power()
    with Server(server.data) as again:
        async with client(again) as api, watch(again) as shared, watch_task(again, task_id, before["head"]) as own:
            hellos = [await shared.receive(), await own.receive()]
            assert (await own.receive())["code"] == "cursor_ahead"
            refused = await api.http.get(f"/api/tasks/{task_id}/events?since_event_id={before['head']}")
            assert (refused.status_code, refused.json()["code"]) == (422, "cursor_ahead")
            await shared.subscribe(task_id)
            await api.run(task_id)
            await shared.until("end")
            after = await api.page(task_id)
    assert {hello["epoch"] for hello in hellos} == {after["epoch"]}
    assert after["epoch"] != before["epoch"]
    assert shared.events[task_id] == after["events"]
    assert ids(after["events"])[:5] == ids(before["events"])[:5]
    assert after["events"][:5] != before["events"][:5]
    assert "new epoch" in again.log
