import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from FedSimCore.errors import InputError
from FedSimCore.shape.model import ShapeModel
from FedSimCore.shape.parameters import HeartParameters, Pose, read_parameters, write_parameters
from Testing.core.shape.small_model import small_arrays, small_header, small_model


def some_parameters(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor([[0.5, -1.0, 1.4, 0.1, -0.2, 0.3, 5, -6, 7, 1.1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]], dtype=dtype)


def test_vertices_are_mean_plus_modes_times_sigma_then_turned_scaled_and_moved():
    arrays, parameters = small_arrays(), some_parameters()
    found = small_model().vertices(parameters)
    b = parameters[0, :3].numpy() * np.sqrt(arrays["eigenvalues"])
    shape = arrays["mean"].astype(float) + np.einsum("k,kvd->vd", b, arrays["modes"].astype(float))
    turned = shape @ Rotation.from_rotvec([0.1, -0.2, 0.3]).as_matrix().T
    np.testing.assert_allclose(found[0], 1.1 * turned + [5, -6, 7], atol=1e-4)
    np.testing.assert_allclose(found[1], arrays["mean"], atol=1e-5)


def test_the_gradient_to_all_parameters_is_that_of_finite_differences():
    model = small_model()
    parameters = some_parameters().requires_grad_()
    weights = torch.randn(2, len(model.mean), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / 100

    def looked_at(p: torch.Tensor) -> torch.Tensor:
        return (model.vertices(p) * weights).sum((1, 2))

    assert torch.autograd.gradcheck(looked_at, (parameters,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vertices_come_in_the_dtype_of_the_parameters(dtype):
    assert small_model().vertices(some_parameters(dtype)).dtype == dtype


def test_a_generators_output_spans_exactly_the_limits():
    model = small_model()
    lowest, middle, highest = model.from_unit(torch.tensor([[-1.0], [0.0], [1.0]]).expand(3, 10))
    np.testing.assert_allclose(lowest[:3], -1.5)
    np.testing.assert_allclose(highest[:3], 1.5)
    np.testing.assert_allclose(middle[:3], 0)
    np.testing.assert_allclose(highest[3:9] - middle[3:9], 2 * small_header().pose.sd()[:6], rtol=1e-5)
    assert highest[9] == pytest.approx(np.exp(0.02 + 2 * 0.1), rel=1e-5)
    unit = torch.rand(4, 10, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(model.to_unit(model.from_unit(unit)), unit, atol=1e-5, rtol=1e-5)


def test_fewer_modes_give_the_hearts_whose_other_weights_are_zero():
    model, few = small_model(), small_model().with_modes(2)
    assert few.parameter_count == 9
    whole = some_parameters()
    whole[:, 2] = 0
    torch.testing.assert_close(few.vertices(torch.cat([whole[:, :2], whole[:, 3:]], 1)), model.vertices(whole))
    with pytest.raises(InputError, match="has 3 modes; ask for 1 to 3, not 4"):
        model.with_modes(4)


def test_clamp_limits_the_weights_and_leaves_the_pose():
    parameters = torch.tensor([[9.0, -9, 0.5, 1, 2, 3, 100, 200, 300, 5]])
    np.testing.assert_allclose(small_model().clamp(parameters), [[1.5, -1.5, 0.5, 1, 2, 3, 100, 200, 300, 5]])


def test_samples_repeat_with_the_seed_and_follow_the_truncated_normal():
    model = small_model()
    first, again = (model.sample(20000, torch.Generator().manual_seed(7), pose=True) for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    weights = first[:, :3].numpy()
    assert np.abs(weights).max() <= 1.5
    # Variance of a standard normal truncated at 1.5: 1 - 2 * 1.5 * phi(1.5) / (2 * Phi(1.5) - 1).
    phi, mass = np.exp(-1.125) / np.sqrt(2 * np.pi), 0.8663855974622838
    np.testing.assert_allclose(weights.var(0), 1 - 3 * phi / mass, rtol=0.03)
    np.testing.assert_allclose(first[:, 6:9].mean(0), (1, -2, 3), atol=0.1)


def test_samples_without_pose_have_the_cohorts_mean_pose():
    drawn = small_model().sample(3, torch.Generator().manual_seed(0), "uniform")
    np.testing.assert_allclose(drawn[:, 3:9], np.tile(small_header().pose.mean()[:6], (3, 1)), rtol=1e-6)
    assert drawn[:, :3].abs().max() > 0


def test_project_finds_the_parameters_a_heart_was_made_of():
    model = small_model()
    made_of = HeartParameters(
        weights=(0.7, -1.2, 0.4), pose=Pose(rotation_rad=(0.5, -0.3, 1.0), translation_mm=(50, 10, -80), scale=0.6)
    )
    found = model.project(model.mesh(made_of).vertices)
    np.testing.assert_allclose(found.vector(), made_of.vector(), atol=2e-3)


def test_project_keeps_the_limit_unless_told_otherwise():
    model = small_model()
    far = model.mesh(HeartParameters(weights=(3.0, 0.0, 0.0))).vertices
    assert model.project(far).weights[0] == pytest.approx(1.5)
    assert model.project(far, limited=False).weights[0] == pytest.approx(3.0, abs=0.01)


def test_parameters_of_the_wrong_length_and_meshes_of_another_model_are_refused():
    model = small_model()
    with pytest.raises(InputError, match=r"takes parameters \(batch, 10\), not \(1, 9\)"):
        model.vertices(torch.zeros(1, 9))
    with pytest.raises(InputError, match="in its own order"):
        model.project(np.zeros((5, 3)))


def test_a_model_without_one_of_the_regions_is_refused():
    arrays = small_arrays()
    keep = arrays["face_region"] != 7
    with pytest.raises(InputError, match="surfaces for the labels"):
        ShapeModel(arrays | {n: arrays[n][keep] for n in ("faces", "face_region")}, small_header())


def test_saving_and_loading_gives_the_same_model(tmp_path):
    model = small_model()
    checksum = model.save(tmp_path / "m.safetensors")
    again = ShapeModel.load(tmp_path / "m.safetensors")
    assert again.checksum == checksum
    assert again.header == model.header
    torch.testing.assert_close(again.vertices(some_parameters()), model.vertices(some_parameters()), rtol=0, atol=1e-10)
    np.testing.assert_array_equal(again.topology.faces, model.topology.faces)


def test_parameters_come_back_from_their_file_and_know_their_model(tmp_path):
    path = tmp_path / "p.json"
    parameters = HeartParameters(weights=(0.1, -0.2), pose=Pose(scale=0.9))
    write_parameters(path, parameters, "abc")
    assert read_parameters(path, 2, "abc") == parameters
    with pytest.raises(InputError, match="another shape model"):
        read_parameters(path, 2, "def")
    with pytest.raises(InputError, match="2 weights but the model has 14"):
        read_parameters(path, 14)
    path.write_text('{"schema": "fedsim/heart-parameters/1", "weights": [1], "pose": {"scale": -1}}')
    with pytest.raises(InputError, match=r"pose\.scale"):
        read_parameters(path)
    path.write_text("[]")
    with pytest.raises(InputError, match="no heart parameters"):
        read_parameters(path)
