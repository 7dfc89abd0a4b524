"""VGG-19's layers, the perceptual loss made of them, and the file of weights that a user brings."""

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from FedSimCore.errors import InputError
from FedSimCore.networks.perceptual import PerceptualLoss
from FedSimCore.networks.vgg import ALL_LAYERS, GAUGAN_LAYERS, VGG19, random_vgg19, trained_vgg19, weight_shapes
from FedSimCore.networks.vgg_file import perceptual_features, read_vgg19


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture(scope="module")
def weights():
    """Weights of the right shapes; nobody trained them."""
    return {key: 0.02 * noise(*shape, seed=number) for number, (key, shape) in enumerate(weight_shapes().items())}


@pytest.fixture(scope="module")
def weights_file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(weights | {"classifier.0.weight": torch.zeros(3)}, path)
    return path


class Planes:
    """Features that are the image itself and its double."""

    name, layers = "planes", ("relu1_1", "relu5_1")

    def __call__(self, image):
        return [image, 2 * image]


def test_the_convolutions_are_torchvisions_vgg19():
    shapes = weight_shapes()
    total = 0
    for shape in shapes.values():
        total += torch.Size(shape).numel()
    assert total == 20_024_384  # torchvision.models.vgg19().features
    assert [int(key.split(".")[1]) for key in shapes if key.endswith("weight")] == [
        0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34,
    ]  # fmt: skip
    assert shapes["features.28.weight"] == (512, 512, 3, 3)


def test_features_are_those_of_convolutions_relus_and_pooling_in_turn(weights):
    network = trained_vgg19(weights, "test")
    image, expected = noise(2, 1, 32, 32), []
    x = image.repeat(1, 3, 1, 1)
    for stage, convolutions in enumerate([(0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25), (28,)]):
        x = functional.max_pool2d(x, 2) if stage else x
        for number, index in enumerate(convolutions):
            x = functional.conv2d(x, weights[f"features.{index}.weight"], weights[f"features.{index}.bias"], padding=1)
            x = x.clamp_min(0)
            if number == 0:
                expected.append(x)
    for ours, theirs in zip(network(image), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert not any(p.requires_grad for p in network.parameters())


def test_the_layers_taken_are_gaugans_and_all_of_them_if_wanted():
    assert GAUGAN_LAYERS == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    with torch.device("meta"):
        five = VGG19("five")(torch.empty(1, 1, 64, 64))
        all_ = VGG19("all", ALL_LAYERS)(torch.empty(1, 1, 64, 64))
    assert [tuple(x.shape[1:]) for x in five] == [(64, 64, 64), (128, 32, 32), (256, 16, 16), (512, 8, 8), (512, 4, 4)]
    assert len(all_) == 16


def test_random_features_are_the_same_for_a_seed_and_of_the_images_magnitude():
    network, same, other = random_vgg19(), random_vgg19(), random_vgg19(1)
    image = noise(4, 1, 64, 64)
    for x, y, z in zip(network(image), same(image), other(image), strict=True):
        assert torch.equal(x, y)
        assert not torch.equal(x, z)
        assert 0.2 < float(x.square().mean().sqrt()) < 3
    assert network.name == "VGG-19 layers, random weights, quarter width, seed 0"


def test_the_perceptual_loss_weighs_stages_as_gaugan_does():
    loss = PerceptualLoss(Planes())
    image, target = noise(2, 1, 8, 8), noise(2, 1, 8, 8, seed=1)
    distance = float((image - target).abs().mean())
    assert float(loss(image, target)) == pytest.approx(distance / 32 + 2 * distance)
    assert PerceptualLoss(random_vgg19()).weights == (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1)
    with torch.device("meta"):
        every = PerceptualLoss(VGG19("all", ALL_LAYERS)).weights
    assert every == (1 / 64,) * 2 + (1 / 32,) * 2 + (1 / 32,) * 4 + (1 / 16,) * 4 + (1 / 4,) * 4


def test_equal_images_have_no_perceptual_distance_and_the_gradient_is_right():
    loss = PerceptualLoss(random_vgg19().double())
    image, target = noise(1, 1, 16, 16, dtype=torch.float64), noise(1, 1, 16, 16, seed=1, dtype=torch.float64)
    assert float(loss(target, target)) == 0
    value, direction = image.clone().requires_grad_(True), noise(1, 1, 16, 16, seed=2, dtype=torch.float64)
    loss(value, target).backward()
    difference = (loss(image + 1e-6 * direction, target) - loss(image - 1e-6 * direction, target)) / 2e-6
    assert float((value.grad * direction).sum()) == pytest.approx(float(difference), rel=1e-4)


def test_volumes_are_compared_in_all_slices_of_three_planes():
    loss = PerceptualLoss(random_vgg19())
    volume, target = noise(2, 1, 16, 16, 16), noise(2, 1, 16, 16, 16, seed=1)
    planes = []
    for a, b in zip(volume, target, strict=True):
        for axis in (1, 2, 3):
            planes += [loss(x[None], y[None]) for x, y in zip(a.unbind(axis), b.unbind(axis), strict=True)]
    assert float(loss.volumes(volume, target)) == pytest.approx(float(torch.stack(planes).mean()), rel=1e-5)


def test_images_that_are_not_alike_and_unknown_layers_are_refused():
    with pytest.raises(InputError, match="cannot be compared"):
        PerceptualLoss(Planes())(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 5))
    strange = Planes()
    strange.layers = ("relu1_1", "fc6")
    with pytest.raises(InputError, match="not of VGG-19's five stages"):
        PerceptualLoss(strange)


def test_a_weights_file_and_its_safetensors_copy_give_the_same_features(weights, weights_file, tmp_path):
    copy = tmp_path / "vgg19.safetensors"
    save_file(weights, copy)
    image, results = noise(1, 1, 32, 32), []
    for path in (weights_file, copy):
        read, name = read_vgg19(path)
        assert name.startswith(f"VGG-19 from {path.name} (sha256 ")
        results.append(trained_vgg19(read, name)(image))
    assert all(torch.equal(x, y) for x, y in zip(*results, strict=True))


def test_features_are_random_without_a_file_and_trained_with_one_and_say_so(weights_file):
    assert perceptual_features(None).name == random_vgg19().name
    features = perceptual_features(weights_file, ("relu1_1", "relu2_1"))
    assert features.name.startswith("VGG-19 from vgg19.pth")
    assert [x.shape[1] for x in features(noise(1, 1, 8, 8))] == [64, 128]


class Hostile:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return os.mkdir, (str(self.witness),)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_file_that_carries_code_is_refused_and_not_run(writer, tmp_path):
    witness, path = tmp_path / "it-ran", tmp_path / "vgg19.pth"
    if writer == "torch":
        torch.save({"features.0.weight": Hostile(witness)}, path)
    else:
        path.write_bytes(pickle.dumps(Hostile(witness)))
    with pytest.raises(InputError, match=r"vgg19\.pth is damaged or carries more than weights, and was not run"):
        read_vgg19(path)
    assert not witness.exists()
    torch.load(path, weights_only=False) if writer == "torch" else pickle.loads(path.read_bytes())
    assert witness.exists()


def damaged_at_the_end(path, weights):
    torch.save({"features.0.weight": weights["features.0.weight"]}, path)
    path.write_bytes(path.read_bytes()[:-200])


def changed(key, value):
    def write(path, weights):
        torch.save(weights | {key: value}, path)

    return write


def without_last_bias(path, weights):
    torch.save({k: v for k, v in weights.items() if k != "features.34.bias"}, path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path, _: None, "There is no file .* with VGG-19's weights; give torchvision's vgg19-dcbb9e9d.pth"),
        (lambda path, _: path.write_bytes(b""), "is damaged or"),
        (lambda path, _: path.write_bytes(b"not a file of weights" * 99), "is damaged or"),
        (damaged_at_the_end, "is damaged or"),
        (lambda path, _: torch.save([torch.zeros(3)], path), "holds list instead of named weights"),
        (without_last_bias, r"lacks the weights features\.34\.bias"),
        (changed("features.0.bias", "seventy"), r"lacks the weights features\.0\.bias"),
        (changed("features.0.weight", torch.zeros(64, 1, 3, 3)), r"is \(64, 1, 3, 3\), but \(64, 3, 3, 3\) in VGG-19"),
        (changed("features.0.bias", torch.full((64,), torch.nan)), "values that are not finite numbers"),
    ],
)
def test_damaged_or_other_files_are_refused_with_a_way_out(write, message, weights, tmp_path):
    path = tmp_path / "vgg19.pth"
    write(path, weights)
    with pytest.raises(InputError, match=message):
        read_vgg19(path)


def test_damaged_safetensors_are_refused(tmp_path):
    path = tmp_path / "vgg19.safetensors"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(InputError, match="is damaged or not a safetensors file"):
        read_vgg19(path)
