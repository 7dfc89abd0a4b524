"""A model's files come back as they were, small where wanted, and what is not a model is refused in one sentence."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from FedSimCore.errors import InputError
from FedSimCore.generation.enhancer_file import SiteDiscriminator, SiteEnhancer
from FedSimCore.generation.generator_file import HeartGenerator
from FedSimCore.generation.model_folder import GenerativeModel, write_model
from FedSimCore.tensor_files import read_weights, write_weights
from Testing.core.generation.small_model import (
    random_latents,
    small_enhancer,
    small_generator,
    write_small_model,
)
from Testing.core.shape.small_model import small_model


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    return folder, write_small_model(folder)


def rewritten(path, target, header=None, tensors=None):
    """Write a file of weights again with another header or other weights, checksum and all."""
    with safe_open(path, framework="pt") as file:
        content = json.loads(file.metadata()["fedsim"])
    own, _ = read_weights(path, content["kind"])
    content = {key: value for key, value in content.items() if key not in ("schema", "sha256")}
    write_weights(target, tensors(own) if tensors else own, {**content, **(header or {})})


def test_a_model_comes_back_with_the_same_hearts_slices_and_scores(written):
    folder, generator = written
    model, z = GenerativeModel.load(folder), random_latents()
    assert model.sites == ("a", "b")
    assert model.generator.header == generator.header
    assert torch.equal(model.generator.labels(z), generator.labels(z))
    assert torch.equal(model.generator.coarse(z), generator.coarse(z))
    assert torch.equal(model.generator.latents, generator.latents)
    assert torch.equal(model.generator.normal.covariance, generator.normal.covariance)
    for site in model.sites:
        made = [e.enhance(generator.coarse(z), generator.labels(z)) for e in (model.enhancer(site), small(site))]
        assert torch.equal(*made)
        assert made[0].shape == (2, 1, 32, 32, 32)
        model.discriminator(site)
    assert (folder / "card.md").read_text().startswith("# A model")


def small(site):
    return small_enhancer(small_generator(), site)


def test_half_precision_halves_the_file_keeps_the_checksums_and_hardly_changes_a_heart(written, tmp_path):
    folder, generator = written
    write_small_model(tmp_path / "half", half=True)
    half, z = GenerativeModel.load(tmp_path / "half"), random_latents()
    assert half.generator.checksum == generator.checksum
    assert half.enhancer("a").checksum == GenerativeModel.load(folder).enhancer("a").checksum
    assert half.discriminator("a").header.site == "a"
    assert all(p.dtype == torch.float32 for p in half.generator.parameters())
    assert torch.equal(half.generator.normal.covariance, generator.normal.covariance)
    assert torch.allclose(half.generator.coarse(z), generator.coarse(z), atol=2e-3)
    sizes = [(f / "generator.safetensors").stat().st_size for f in (tmp_path / "half", folder)]
    assert sizes[0] < 0.6 * sizes[1]


def test_shipping_a_weight_that_half_precision_cannot_hold_is_refused(tmp_path):
    generator = small_generator()
    with torch.no_grad():
        generator.shape[0].weight[0, 0] = 1e6
    with pytest.raises(InputError, match=r"shape\.0\.weight has weights too large for float16"):
        generator.save(tmp_path / "generator.safetensors", half=True)


def test_a_generator_with_fixed_materials_has_no_material_map(tmp_path):
    generator = small_generator("fixed-materials")
    generator.save(tmp_path / "generator.safetensors")
    loaded = HeartGenerator.load(tmp_path / "generator.safetensors")
    assert torch.equal(loaded.labels(random_latents()), generator.labels(random_latents()))
    with pytest.raises(InputError, match="fixed materials"):
        loaded.coarse(random_latents())


def test_rendered_and_read_material_maps_give_different_images_of_the_same_density():
    z = random_latents(1)
    maps = small_generator("read").coarse(z), small_generator("rendered").coarse(z)
    assert maps[0].shape == maps[1].shape == (1, 1, 16, 16, 16)
    inner = [m[..., 6:10, 6:10, 6:10].mean().item() for m in maps]
    assert inner[0] == pytest.approx(inner[1], abs=0.15)
    assert not torch.allclose(*maps, atol=0.02)


def test_another_shape_model_travels_in_the_folder_and_is_asked_for_where_it_is_missing(tmp_path):
    model = small_model()
    model.save(tmp_path / "mine.safetensors")
    generator = small_generator(model=model)
    write_model(tmp_path / "model", generator, shape_model=tmp_path / "mine.safetensors")
    z = random_latents()
    loaded = GenerativeModel.load(tmp_path / "model").generator
    assert torch.allclose(loaded.vertices(z), generator.vertices(z), atol=1e-3)
    (tmp_path / "model" / "shape_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"trained with shape model .*copy that file there"):
        GenerativeModel.load(tmp_path / "model")
    assert HeartGenerator.load(tmp_path / "model" / "generator.safetensors", model).header.modes == 3


def test_enhancers_of_another_generator_and_discriminators_of_another_enhancer_are_refused(written, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(written[0], folder)
    small_enhancer(small_generator("rendered"), "a").save(folder / "enhancer-a.safetensors")
    model = GenerativeModel.load(folder)
    with pytest.raises(InputError, match=r"enhancer-a\.safetensors was trained with generator .* copy both"):
        model.enhancer("a")
    shutil.copy(folder / "discriminator-a.safetensors", folder / "discriminator-b.safetensors")
    with pytest.raises(InputError, match="against another enhancer"):
        model.discriminator("b")
    with pytest.raises(InputError, match="no enhancer of a site 'c'; it has those of a, b"):
        model.enhancer("c")
    (folder / "discriminator-b.safetensors").unlink()
    with pytest.raises(InputError, match="does not exist"):
        model.discriminator("b")
    with pytest.raises(InputError, match=r"holds no generator\.safetensors"):
        GenerativeModel.load(tmp_path)


@pytest.mark.parametrize("name", ["generator", "enhancer-a", "discriminator-a"])
def test_files_of_another_version_damaged_swapped_or_hostile_are_refused(written, tmp_path, name):
    load = {"generator": HeartGenerator, "enhancer-a": SiteEnhancer, "discriminator-a": SiteDiscriminator}[name].load
    good, bad = written[0] / f"{name}.safetensors", tmp_path / f"{name}.safetensors"
    rewritten(good, bad, {"version": 9})
    with pytest.raises(InputError, match=r"version 9, this FedSim reads version 1"):
        load(bad)
    content = bytearray(good.read_bytes())
    content[-9] ^= 4
    bad.write_bytes(content)
    with pytest.raises(InputError, match="does not match its checksum"):
        load(bad)
    bad.write_bytes(good.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        load(bad)
    bad.write_bytes(pickle.dumps({"shape": Bomb(tmp_path / "ran")}))
    with pytest.raises(InputError, match="no safetensors file"):
        load(bad)
    assert not (tmp_path / "ran").exists()
    save_file({"a": torch.ones(1)}, bad)
    with pytest.raises(InputError, match="no weights of FedSim"):
        load(bad)
    other = "enhancer-b" if name == "generator" else "generator"
    with pytest.raises(InputError, match=r"holds a (heart|site) .*, but a .* is needed"):
        load(written[0] / f"{other}.safetensors")


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize(
    ("name", "header", "sentence"),
    [
        ("generator", {"hidden": [9]}, r"shape\.0\..* but its header tells of"),
        ("generator", {"hidden": [10**15]}, "shape"),
        ("generator", {"latent_size": 10**9}, "but its header tells of"),
        ("generator", {"modes": 500}, "has .* modes"),
        ("generator", {"size": 10**6}, "impossible header entry size"),
        ("generator", {"unknown": 1}, "impossible header entry unknown"),
        ("generator", {"coarse": "fixed-materials"}, r"too many weights, material\."),
        ("generator", {"cases": []}, r"Latents \(4, 4\) .* don't fit 0 cases"),
        ("enhancer-a", {"channels": 2}, "but its header tells of"),
        ("enhancer-a", {"channels": 10**12}, "network that cannot be made"),
        ("enhancer-a", {"site": "../../etc"}, "impossible header entry site"),
        ("enhancer-a", {"condition": "fixed-materials"}, "does not tell how"),
        ("discriminator-a", {"layers": 3}, "lacks|but its header tells of"),
    ],
)
def test_headers_that_the_weights_do_not_bear_out_are_refused_before_memory_is_taken(
    written, tmp_path, name, header, sentence
):
    load = {"generator": HeartGenerator, "enhancer-a": SiteEnhancer, "discriminator-a": SiteDiscriminator}[name].load
    rewritten(written[0] / f"{name}.safetensors", tmp_path / "x.safetensors", header)
    with pytest.raises(InputError, match=sentence) as told:
        load(tmp_path / "x.safetensors")
    assert "\n" not in str(told.value)
    assert "x.safetensors" in str(told.value)


def test_weights_that_are_missing_or_too_many_and_an_impossible_normal_are_refused(written, tmp_path):
    good, bad = written[0] / "generator.safetensors", tmp_path / "x.safetensors"
    without = [("shape.0.bias", "lacks shape"), ("latents", "lacks latents"), ("normal.mean", "lacks normal")]
    for gone, sentence in without:
        rewritten(good, bad, tensors=lambda own, gone=gone: {k: v for k, v in own.items() if k != gone})
        with pytest.raises(InputError, match=sentence):
            HeartGenerator.load(bad)
    rewritten(good, bad, tensors=lambda own: {**own, "virus": torch.ones(1)})
    with pytest.raises(InputError, match="too many weights, virus"):
        HeartGenerator.load(bad)
    rewritten(good, bad, tensors=lambda own: {**own, "normal.covariance": -torch.eye(4)})
    with pytest.raises(InputError, match="not symmetric and positive definite"):
        HeartGenerator.load(bad)


def test_a_refined_generator_makes_the_same_hearts_in_finer_voxels():
    coarse = small_generator()
    fine = coarse.refined(2)
    assert fine.grid.shape == (64, 64, 64)
    assert fine.header.spacing_mm == 2.5
    torch.testing.assert_close(fine.vertices(fine.latents), coarse.vertices(coarse.latents))
    torch.testing.assert_close(fine.coarse(fine.latents), coarse.coarse(coarse.latents))
    ml = [int((made.labels(made.latents) > 0).sum()) * made.header.spacing_mm**3 / 1000 for made in (coarse, fine)]
    assert ml[0] == pytest.approx(ml[1], rel=0.01)
    assert fine.checksum != coarse.checksum
