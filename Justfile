# Commands of the house; each is one line you could type yourself.

# Set up and run the demo: a labelled episode, analysed, its totals beside the truth.
demo:
    uv sync --frozen
    uv run --frozen rollcall demo

# Set up and pass the tests.
test *args:
    uv sync --frozen
    uv run --frozen pytest -q {{args}}

# Lint and types.
lint:
    uv run --frozen ruff check .
    uv run --frozen ruff format --check .
    uv run --frozen mypy

# Benchmarks print ratios measured in one run; they assert nothing.
bench *args:
    uv run --frozen python -m tests.benchmarks.speed {{args}}

# Kills, full disks and torn files while people decide; ends with the decisions acknowledged and those standing.
torture *args:
    uv run --frozen python -m tests.benchmarks.torture {{args}}

# Damaged copies of three clips, each added and analysed.
fuzz *args:
    uv run --frozen python -m tests.benchmarks.fuzz {{args}}

# Write the generated operation spec, and the golden file of the tools agents get from it.
spec:
    uv run --frozen python -m engine.operations.spec
    uv run --frozen python -m tests.test_mcp_tools

# Random reviews, many and long: what must hold after every step.
review-long:
    ROLLCALL_REVIEW_STEPS=200 ROLLCALL_REVIEW_SEEDS=100 uv run --frozen pytest -q tests/test_review_property.py --timeout 36000
