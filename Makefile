# A thin coat over tasks.py, which works on every system: `make test` is `python tasks.py test`.
#   make test PYTHON=python3.12      another Python
#   make lab CPU=ADDRESS             torch from an index of CPU builds (Linux laptops, see the README)
#   make demo ARGS="--steps 200"     options for the tool behind the command
#   make grade ARGS="submissions/*.ipynb --out grades.csv"
PYTHON ?= python3
RUN = $(PYTHON) tasks.py

TASKS = setup lab author test check demo lectures labs recorded mutation browser colab site fresh update \
	check-lab grade autograder summary answers moodle convert release gain \
	assets badges frames adopt pages claims promises minutes stability run
.PHONY: help start slides $(TASKS)

help:
	@$(RUN) --help

$(TASKS):
	@$(RUN) $@ $(if $(CPU),--cpu $(CPU)) $(ARGS)

start:  # make start LAB=03
	@$(RUN) start $(LAB)

slides:  # make slides LECTURE=03
	@$(RUN) slides $(LECTURE)
