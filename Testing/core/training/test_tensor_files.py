"""What a training remembers comes back exactly, and no file can run code."""

from __future__ import annotations

import math
import pickle
import random
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from FedSimCore.errors import InputError
from FedSimCore.tensor_files import read_tensors, read_weights, write_tensors, write_weights
from FedSimCore.training.random_state import random_state, set_random_state, undisturbed
from FedSimCore.training.state_tree import join_tree, split_tree


def through_files(tree, folder):
    """Write a tree as a checkpoint does, and read it again."""
    import json

    content, tensors = split_tree(tree)
    write_tensors(folder / "t.safetensors", tensors)
    return join_tree(json.loads(json.dumps(content, allow_nan=False)), read_tensors(folder / "t.safetensors")[0])


def test_numbers_texts_tuples_and_keys_come_back_with_their_types(tmp_path):
    tree = {
        "a": [1, 2.5, "x", None, True, (1, (2, [3]))],
        0: {"betas": (0.9, 0.999), "rate": 0.1 + 0.2, "big": 2**127 + 1},
        "$tensor": {"$tuple": 1},
        "odd": [math.inf, -math.inf, 1e-320],
        "array": np.arange(5, dtype=np.uint32),
        "tensor": torch.ones(1),
    }
    back = through_files(tree, tmp_path)
    assert back.pop("array").dtype == tree.pop("array").dtype
    assert torch.equal(back.pop("tensor"), tree.pop("tensor"))
    assert back == tree
    assert math.isnan(through_files({"n": math.nan, "tensor": torch.ones(1)}, tmp_path)["n"])


def test_tensors_of_every_type_come_back_bit_by_bit_even_where_they_share_memory(tmp_path):
    whole = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    tree = {
        "same": [whole, whole, whole[1:, ::2], whole.T],
        "kinds": [whole.to(t) for t in (torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool)],
        "empty": torch.zeros(0, 3),
        "number": torch.tensor(3.0),
    }
    back = through_files(tree, tmp_path)
    for name in ("same", "kinds"):
        for one, other in zip(tree[name], back[name], strict=True):
            assert one.dtype == other.dtype
            assert torch.equal(one, other)
    assert back["empty"].shape == (0, 3)
    assert float(back["number"]) == 3


def test_adam_goes_on_as_if_nothing_had_happened(tmp_path):
    def steps(net, adam, count):
        for step in range(count):
            adam.zero_grad()
            (net(torch.full((2, 3), float(step))) ** 2).sum().backward()
            adam.step()

    def new():
        torch.manual_seed(0)
        net = nn.Linear(3, 2)
        return net, torch.optim.AdamW(net.parameters(), lr=0.1, amsgrad=True)

    net, adam = new()
    steps(net, adam, 3)
    saved = through_files({"net": net.state_dict(), "adam": adam.state_dict()}, tmp_path)
    steps(net, adam, 3)
    other, its_adam = new()
    other.load_state_dict(saved["net"])
    its_adam.load_state_dict(saved["adam"])
    steps(other, its_adam, 3)
    assert torch.equal(net.weight, other.weight)


def test_every_generator_goes_on_with_the_same_numbers(tmp_path):
    own = {"torch": torch.Generator().manual_seed(4), "numpy": np.random.default_rng(5)}
    random.seed(1)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(3)
    random.gauss(0, 1), np.random.normal()  # noqa: NPY002 (both keep a second normal number back)

    def draw():
        return [
            random.gauss(0, 1),
            np.random.normal(),  # noqa: NPY002
            float(torch.rand(1)),
            float(torch.rand(1, generator=own["torch"])),
            own["numpy"].normal(),
        ]

    saved = through_files(random_state(own), tmp_path)
    first = draw()
    with undisturbed(own):
        draw()
    second = draw()
    set_random_state(saved, own)
    assert [draw(), draw()] == [first, second]


def test_ordered_dicts_are_saved_and_unknown_things_are_named():
    assert join_tree(*split_tree(OrderedDict(a=1))) == {"a": 1}
    with pytest.raises(TypeError, match=r"optimizer\.hook is a function"):
        split_tree({"optimizer": {"hook": lambda: None}})


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("write", [lambda x, p: torch.save(x, p), lambda x, p: p.write_bytes(pickle.dumps(x))])
def test_a_pickle_is_never_loaded_whatever_it_is_called(tmp_path, write):
    path, trace = tmp_path / "weights.safetensors", tmp_path / "ran"
    write({"weight": Bomb(trace)}, path)
    for read in (read_tensors, lambda p: read_weights(p, "shape generator")):
        with pytest.raises(InputError, match="no safetensors file"):
            read(path)
    assert not trace.exists()


def test_weights_of_another_kind_version_or_program_are_refused(tmp_path):
    path, weights = tmp_path / "w.safetensors", {"a": torch.ones(2)}
    write_weights(path, weights, {"kind": "shape generator", "modes": 14})
    tensors, header = read_weights(path, "shape generator")
    assert torch.equal(tensors["a"], weights["a"])
    assert header == {"kind": "shape generator", "modes": 14}
    with pytest.raises(InputError, match="holds a shape generator, but a material generator is needed"):
        read_weights(path, "material generator")
    save_file(weights, path, {"fedsim": '{"schema": "fedsim/weights/9", "kind": "shape generator"}'})
    with pytest.raises(InputError, match="of version 'fedsim/weights/9'"):
        read_weights(path, "shape generator")
    for metadata in (None, {"fedsim": "["}, {"fedsim": "[]"}):
        save_file(weights, path, metadata)
        with pytest.raises(InputError, match="no weights of FedSim"):
            read_weights(path, "shape generator")
    write_weights(path, {"a": torch.tensor([1.0, math.nan])}, {"kind": "shape generator"})
    with pytest.raises(InputError, match="numbers in a that are not finite"):
        read_weights(path, "shape generator")


def test_a_file_that_does_not_fit_the_disk_is_the_systems_error():
    with pytest.raises(OSError, match="os error"):
        write_tensors(__import__("pathlib").Path("/nowhere/at/all"), {"a": torch.ones(1)})
