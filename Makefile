# The one list of commands. `make demo` and `make test` set up everything they need.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready
SOURCES = pipeline schemas populate_scripts tests benchmarks

.PHONY: help setup demo demo-video demo-real test lint types e2e faults soak fuzz slurm load dashboard-load bench toy calibrate calibrate-k calibrate-splits known-types flyvis scanpy
.PHONY: diagram docs clean

help:
	@echo "make demo       the whole chain on a simulated cortex, on an embedded MySQL"
	@echo "make demo-video the same on a simulated retina that sees movies, with types that differ in time"
	@echo "make demo-real  the same on recordings: make demo-real DATA=folder"
	@echo "make test       all tests    make lint types   style, layers, types"
	@echo "make e2e        the dashboard in headless Chromium, on a demo (needs chromium and npm; 10 minutes the first time)"
	@echo "make faults     kills, cuts and fills what workers rest on, each 20 times (REPEATS=n KIND=twins); a line per fault"
	@echo "make soak       hours of a lab in which everything is killed at random (HOURS=1 WORKERS=8); what was lost"
	@echo "make bench      benchmarks   make toy          fine-tuning on a problem with known centres"
	@echo "make calibrate-k  how often the choice of K is right, one JSON object per line (SEEDS=10)"
	@echo "make calibrate-splits  level and power of the number of types (SEEDS=20 N=700 OUT=split_power.jsonl), resumable"
	@echo "make known-types  data sets of known types: the number of types, its rivals, every method (DATA=folder of npz)"
	@echo "make flyvis     a second world: networks of flyvis' fly neurons against its 65 cell types (OUT=flyvis), resumable"
	@echo "make scanpy     AnnData files: written, read back, and opened by scanpy, which it installs"
	@echo "make calibrate  error rates of the tests on simulated null data (SETS=100 for a quick look)"
	@echo "make slurm      a job array on a one-node Slurm of the test's own (as root; slurm-wlm and munge installed)"
	@echo "make fuzz       damaged configurations and files against their loaders (MINUTES=10)"
	@echo "make load       what the pipeline costs beside the science (KEYS=20000)"
	@echo "make dashboard-load  twenty viewers on a large database, beside a worker"
	@echo "make diagram    docs/table-diagram.md    make docs   the documentation site, in site/"

setup: $(READY)

# pip compiles on one processor, the tests of packages too: half of its time. Here all processors compile what is imported.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev,dash]'
	-$(BIN)/python -m compileall -qq -j 0 -x '/(tests|testing)/' $(VENV)/lib
	$(BIN)/python -m compileall -q pipeline schemas populate_scripts
	@touch $(READY)

demo: setup
	$(BIN)/decortex demo

demo-video: setup
	$(BIN)/decortex demo --video

demo-real: setup
	@test -n "$(DATA)" || { echo "make demo-real DATA=folder: a folder of FileTreeDataset sessions; for the public macaque V4 data: decortex import cowley-v4 CLONE folder"; exit 2; }
	$(BIN)/decortex demo --data $(DATA)

# Twice as many processes as two processors: many tests wait, for workers, servers and the disk.
test: setup
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder --junitxml=.test-times.xml

faults: setup
	REPEATS=$(or $(REPEATS),20) AWAY_SECONDS=$(or $(AWAY_SECONDS),30) $(BIN)/python -m pytest -q tests/e2e/test_faults.py $(if $(KIND),-k "$(KIND)")

soak: setup
	$(BIN)/python benchmarks/operations/soak.py --hours $(or $(HOURS),1) --workers $(or $(WORKERS),8)

lint: setup
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/lint-imports --no-cache

types: setup
	$(BIN)/mypy

# The demo's database of these tests stays in .e2e, so that a second run starts at once.
e2e: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,dash,e2e]'
	npm install --no-save --silent --prefix .e2e axe-core@4.14.1
	DECORTEX_E2E=.e2e/home AXE=.e2e/node_modules/axe-core/axe.min.js $(BIN)/python -m pytest tests/browser

dashboard-load: setup
	$(BIN)/python benchmarks/operations/dashboard_load.py

fuzz: setup
	PYTHONPATH=tests $(BIN)/python tests/fuzzing.py --minutes $(or $(MINUTES),10)

bench: setup
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/clustering/clustering.py

toy: setup
	$(BIN)/python benchmarks/finetune/toy.py

calibrate-k: setup
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/selection/calibrate_k.py --seeds $(or $(SEEDS),10)

calibrate-splits: setup
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/splits/split_power.py --seeds $(or $(SEEDS),20) --n $(or $(N),700) --out $(or $(OUT),split_power.jsonl)
	@$(BIN)/python benchmarks/splits/split_power.py --table $(or $(OUT),split_power.jsonl)

known-types: setup
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/splits/known_types.py --out $(or $(OUT),known_types.jsonl) $(if $(DATA),--data $(DATA))

# flyvis brings some eighty packages for one function: an environment of its own. Its torch is the one of constraints.txt.
flyvis: setup
	test -x $(or $(OUT),flyvis)/env/bin/python || $(PYTHON) -m venv $(or $(OUT),flyvis)/env
	$(or $(OUT),flyvis)/env/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt flyvis==1.2.0
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/flyvis/fly_world.py $(or $(OUT),flyvis) --flyvis $(or $(OUT),flyvis)/env/bin/python
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/flyvis/fly_chain.py $(or $(OUT),flyvis)

scanpy: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,dash,scanpy]'
	DECORTEX_TEST_SCANPY=1 $(BIN)/python -m pytest tests/unit/data/test_anndata_file.py tests/db/test_anndata_export.py

calibrate: setup
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/evaluation/calibrate.py --sets $(or $(SETS),2000)

slurm: setup
	DECORTEX_TEST_SLURM=1 $(BIN)/python -m pytest tests/e2e/test_slurm.py

load: setup
	$(BIN)/python benchmarks/operations/load.py --keys $(or $(KEYS),20000)

diagram: setup
	$(BIN)/python docs/make_diagram.py

docs: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
