"""What `/metrics` says, for tests."""

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


class Scrape:
    """One answer of `/metrics`, parsed."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    @property
    def samples(self) -> list[Sample]:
        return [sample for family in self.families.values() for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The one sample of this name with all these labels."""
        (value,) = [sample.value for sample in self.samples if sample.name == name and sample.labels == labels]
        return float(value)

    def of_task(self, task_id: str) -> dict[str, float]:
        """The samples about a task, by name; a further label's value is added to it."""
        about = [sample for sample in self.samples if sample.labels.get("task_id") == task_id]
        return {".".join([sample.name, *_others(sample)]): sample.value for sample in about}


def _others(sample: Sample) -> list[str]:
    return [value for name, value in sample.labels.items() if name != "task_id"]


async def scrape(http: httpx.AsyncClient, url: str = "/metrics") -> Scrape:
    response = await http.get(url)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return Scrape(response.text)
