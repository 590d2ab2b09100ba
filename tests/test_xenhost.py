import pytest

from lab.config import LabConfig
from lab.xenhost import guests_at_once


@pytest.mark.parametrize(
    ("host", "guest_mib", "fits"),
    [
        ({}, 256, 1),
        ({"guests_at_once": 2}, 256, 2),
        ({"guests_at_once": 8}, 256, 2),  # two processors
        ({"guests_at_once": 8, "vcpus": 8}, 256, 6),  # 3072 MiB, of which dom0 has a third
        ({"guests_at_once": 8, "vcpus": 8, "memory_mib": 8192}, 256, 8),
        ({"guests_at_once": 8, "vcpus": 8}, 4096, 1),  # xl will say that it does not fit
    ],
)
def test_no_more_guests_at_once_than_the_host_holds(
    host: dict[str, int], guest_mib: int, fits: int
) -> None:
    config = LabConfig.model_validate(
        {
            "host": host,
            "guests": {"memory_mib": guest_mib},
            "kernels": {"control-bad": {"control": "bad"}},
        }
    )
    assert guests_at_once(config) == fits
