# The worker image: Beam's Python SDK plus this package, in the versions of the lock file. Beam's entry point stays.
# The Beam version here, in requirements.lock and in the driver must be one and the same; a test compares the first two.
FROM apache/beam_python3.11_sdk:2.77.0

WORKDIR /opt/refinery-beam
COPY . .
RUN pip install --no-cache-dir --constraint requirements.lock '.[gcs,s3]'
# What a worker pool starts for each worker (launchers/flink/kubernetes).
RUN printf '#!/bin/sh\nexec python -m refinery_beam worker-boot "$@"\n' > worker-boot && chmod +x worker-boot
