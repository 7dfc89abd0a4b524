# The commands of the README. Each makes its own virtual environment in .venv and installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo_out
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test test-slow lint desktop phantom-model bench clean
help:
	@echo "make demo       set up and run the main job on what ships; pictures go to $(OUT)/"
	@echo "make test       set up, lint, type-check and test"
	@echo "make test-slow  the long checks too"
	@echo "make desktop    set up and open the Slicer module in a window without Slicer (FILES=... to load; docs/host.md)"
	@echo "make phantom-model  train the generative model of phantoms that ships; an hour, can be stopped (docs/generative.md)"
	@echo "make bench      benchmarks beside their peers; results go to Testing/results/"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch first and alone: its pin keeps pip from choosing a newer build with gigabytes of CUDA.
$(VENV)/torch.done: $(BIN)/python constraints.txt
	$(INSTALL) torch
	@touch $@
$(VENV)/demo.done: $(VENV)/torch.done pyproject.toml
	$(INSTALL) -e ".[pictures,train]"
	@touch $@
$(VENV)/test.done: $(VENV)/torch.done pyproject.toml
	$(INSTALL) -e ".[test,desktop]"
	@touch $@
$(VENV)/desktop.done: $(VENV)/torch.done pyproject.toml
	$(INSTALL) -e ".[desktop]"
	@touch $@
$(VENV)/training.done: $(VENV)/torch.done pyproject.toml
	$(INSTALL) -e ".[train]"
	@touch $@
$(VENV)/bench.done: $(VENV)/torch.done pyproject.toml
	$(INSTALL) -e ".[bench]"
	@touch $@

demo: $(VENV)/demo.done
	$(BIN)/fedsim demo -o $(OUT)

lint: $(VENV)/test.done
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
# A file's tests stay in one process (they share what its fixtures made), with one thread for each.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses=4 --dist loadfile
test: lint
	$(PYTEST)
test-slow: lint
	$(PYTEST) -m "slow or not slow"
desktop: $(VENV)/desktop.done
	$(BIN)/fedsim desktop $(FILES)
# Called again, it goes on; STEPS="--generator-steps 2000 --enhancer-steps 4000" trains for longer.
phantom-model: $(VENV)/training.done
	$(BIN)/python -m Testing.trainings.phantom_model --out $(OUT)/phantom-model $(STEPS)
# Each stands alone; quiet cores make honest figures.
bench: $(VENV)/bench.done
	$(BIN)/fedsim bench voxelizer
	$(BIN)/fedsim bench ct
	$(BIN)/fedsim bench physics
	$(BIN)/fedsim bench correspondence
	$(BIN)/fedsim bench fit
clean:
	rm -rf $(VENV) $(OUT)
