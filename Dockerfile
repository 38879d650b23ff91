# inducer-bench with CUDA. PyPI's torch brings its own CUDA libraries; the host needs NVIDIA's driver and container toolkit.
#
#   docker build --tag inducer-bench .
#   docker run --rm --gpus all --volume "$PWD":/workspace inducer-bench task=sst2 method=inducer
FROM python:3.12-slim

# A C compiler, for `trainer.compile`.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/inducer-bench
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY conf conf
COPY inducer_bench inducer_bench
COPY results/reference results/reference
RUN pip install --no-cache-dir --constraint constraints.txt '.[joblib,peft]'

# Runs, and what is downloaded and tokenised, stay in the mounted folder.
ENV HF_HOME=/workspace/.cache/huggingface INDUCER_BENCH_CACHE=/workspace/.cache/inducer_bench
WORKDIR /workspace
ENTRYPOINT ["inducer-bench"]
CMD ["--help"]
