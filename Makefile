# Everything that is done to the project, by name. PY is the environment's Python.
PY ?= .venv/bin/python

.PHONY: env check test multitask catalogue draws contracts parity fine-tuning exports serving faults hostile bench networks explanation lab handwriting detectors large-objects lineage segmenters intervals verdicts illnesses more-data slices generation diffusion compare label-errors studies attacks results reference stream docs tutorials gallery

env:            ## an environment with everything, in .venv
	python3 -m venv .venv
	$(PY) -m pip install -q -c constraints.txt -e '.[test]'

check:          ## form, types, architecture: seconds
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(dir $(PY))lint-imports --no-cache

test:           ## the default suite: minutes
	$(PY) -m pytest -n 2

catalogue:      ## what `sightline models` lists, from the networks themselves: a minute
	$(PY) benchmarks/catalogue.py

reference:      ## docs/reference.md, from the docstrings: seconds
	$(PY) benchmarks/reference.py

stream:         ## memory and time of predict on 20,000 images: 4 minutes; figures go to results/
	$(PY) benchmarks/stream.py

draws:          ## the default suite with other random draws: SEED=7
	TEST_SEED=$(SEED) $(PY) -m pytest -n 2

contracts:      ## every classifier through the contract, compiled by inductor: hours
	$(PY) benchmarks/contracts.py

parity:         ## every classifier that torchvision or timm has too: minutes
	$(PY) benchmarks/parity.py

fine-tuning:    ## from published weights beside random ones: hymenoptera, CamVid, CIFAR-10; about an hour
	$(PY) benchmarks/fine_tuning.py

multitask:      ## age and gender beside a constant guess; does a scarce question gain by another: minutes
	$(PY) benchmarks/multitask.py --out results/multitask.json

exports:        ## every family exported and compared; speed on ResNet-50: about an hour, on an idle machine
	$(PY) benchmarks/exports.py

serving:        ## load, hostile clients, kills and stops of the server: about half an hour; figures go to results/
	$(PY) -m pytest -m slow tests/serving
	$(PY) benchmarks/serving.py

faults:         ## kill -9, SIGTERM, full disks: about 40 minutes; figures go to results/
	$(PY) benchmarks/faults.py

hostile:        ## hostile files and a thousand damaged runs: about half an hour; figures go to results/
	$(PY) benchmarks/hostile.py

bench:          ## speed against the plain loop, as ratios: about 20 minutes
	$(PY) benchmarks/training.py

networks:       ## sizes, latencies, the small study and experiments of docs/networks.md: about 3 hours
	$(PY) benchmarks/study.py
	$(PY) benchmarks/experiments.py
	$(PY) benchmarks/networks.py

explanation:    ## every explainer on every family; planted cue, sanity, faithfulness and speed: about 20 minutes; figures go to results/
	$(PY) -m pytest -m slow tests/explanation
	$(PY) benchmarks/explanation_families.py
	$(PY) benchmarks/explanation.py

lab:            ## every experiment of the laboratory with three seeds, as a book in build/lab: half an hour; claims and seconds go to results/
	$(PY) benchmarks/laboratory.py

tutorials:      ## every tutorial of docs/tutorials from top to bottom, the commands of the pages, the site: 5 minutes
	$(PY) -m pytest -m slow tests/tutorials tests/architecture/test_site.py tests/lab/test_playground.py

gallery:        ## the pictures of docs/gallery.md, taken in a browser: a minute
	$(PY) benchmarks/gallery.py

docs:           ## the documentation as static pages in build/site, with the book of `make lab` where it was built: a minute; needs the extra docs
	$(PY) benchmarks/docs_site.py

segmenters:     ## CamVid: thirteen segmenters, the same time each: 20 minutes
	$(PY) benchmarks/segmenters.py

detectors:      ## blood cells from scratch, latencies and a training step of detectors: an hour; figures go to results/
	$(PY) benchmarks/detectors.py bccd --models yolox_s --seeds 0
	$(PY) benchmarks/detectors.py latency

large-objects:  ## why boxes of large objects are inexact after a short training: 6 minutes; figures go to results/
	$(PY) benchmarks/large_objects.py

lineage:        ## the R-CNN line on one trunk, selective search beside OpenCV's: about 15 minutes; figures go to results/
	$(PY) benchmarks/lineage.py

handwriting:    ## MNIST with and without elastic distortion: about an hour; figures go to results/
	$(PY) benchmarks/handwriting.py

intervals:      ## coverage of the intervals, beside the plain bootstrap: 2 minutes; figures go to results/
	$(PY) benchmarks/intervals.py

verdicts:       ## eight trainings that are ill on purpose, and their verdicts: 1 minute; figures go to results/
	$(PY) benchmarks/verdicts.py

diffusion:      ## diffusion, flow, codes, scenes from words and dropout: five to six hours; figures go to results/
	for what in ddpm flow latent scenes dropout; do $(PY) benchmarks/diffusion.py $$what --runs runs/diffusion; done

compare:        ## equal networks and networks 2 points apart: what `compare` says of them: 3 minutes; figures go to results/
	$(PY) benchmarks/compare.py

studies:        ## tune: killed, resumed and shared by processes: a minute
	$(PY) -m pytest -m slow tests/studies

label-errors:   ## planted label errors of MNIST and CIFAR-10: how many are found: about 15 minutes; figures go to results/
	$(PY) benchmarks/label_errors.py
	$(PY) -m pytest -m slow tests/assessment

illnesses:      ## eight planted illnesses on MNIST and CIFAR-10, three seeds each: about ten minutes; figures go to results/
	$(PY) benchmarks/illnesses.py

slices:         ## planted slices and permuted scores; speed of the diagnosis: 2 minutes; figures go to results/
	$(PY) benchmarks/slices.py

more-data:      ## the forecast for twice the data beside the truth: five minutes; figures go to results/
	$(PY) benchmarks/more_data.py

generation:     ## GANs against known truths: a ring of Gaussians, digits by class; 40 minutes; figures go to results/
	$(PY) benchmarks/generation.py ring
	$(PY) benchmarks/generation.py gan

attacks:        ## attacks on a ResNet-20 of CIFAR-10, adversarial training: an hour with the training; figures go to results/
	$(PY) -m pytest -m slow tests/attacks
	$(PY) benchmarks/attacks.py

results:        ## train the shipped recipes and write their headers: hours
	$(PY) benchmarks/recipes.py
