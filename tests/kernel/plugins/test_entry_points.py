import random

from firefly_core.kernel.plugins.entry_points import HANDLERS, claims


def test_claims_name_the_distribution_and_its_version(distribution):
    distribution("meadow-extras", {}, plugins={"extras": "meadow_extras"}, handlers={"extra-world": "meadow.world"})
    (claim,) = claims("firefly.plugins")["extras"]
    assert (claim.name, claim.value, claim.distribution) == ("extras", "meadow_extras", "meadow-extras 1.0")
    assert claims(HANDLERS)["extra-world"][0].value == "meadow.world"


def test_every_claim_to_a_name_is_given(distribution):
    distribution("zeta", {}, plugins={"same": "zeta"})
    distribution("alpha", {}, plugins={"same": "alpha"})
    assert [claim.distribution for claim in claims("firefly.plugins")["same"]] == ["alpha 1.0", "zeta 1.0"]


def test_distribution_found_twice_claims_once(distribution, tmp_path, monkeypatch):
    distribution("twin", {}, plugins={"twin": "twin"})
    distribution("twin", {}, plugins={"twin": "twin"}, folder=tmp_path / "second")
    monkeypatch.syspath_prepend(str(tmp_path / "second"))
    assert len(claims("firefly.plugins")["twin"]) == 1


def test_order_of_discovery_leaves_no_trace(distribution, tmp_path, monkeypatch):
    folders = []
    for index in range(5):
        folder = distribution(
            f"dist-{index}", {}, plugins={"same": f"m{index}", f"own{index}": "m"}, folder=tmp_path / f"d{index}"
        )
        monkeypatch.syspath_prepend(str(folder))
        folders.append(str(folder))
    seen = set()
    import sys

    shuffle = random.Random(7)
    for _ in range(20):
        shuffle.shuffle(folders)
        monkeypatch.setattr(sys, "path", folders + [path for path in sys.path if path not in folders])
        seen.add(str([(name, list(found)) for name, found in claims("firefly.plugins").items()]))
    assert len(seen) == 1
