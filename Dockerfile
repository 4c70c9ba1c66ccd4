# The image of every service but mysql in docker-compose.yml: for processors, without CUDA. For GPUs:
#   docker compose --profile gpu build worker-gpu
FROM python:3.12-slim
ARG TORCH_BACKEND=cpu
# The history is not part of the build: DECORTEX_COMMIT=$(git rev-parse HEAD) docker compose build
ARG DECORTEX_COMMIT=
RUN useradd --create-home decortex && mkdir /store /backups && chown decortex /store /backups && chmod 1777 /home/decortex
WORKDIR /opt/decortex
COPY . .
# uv chooses torch's builds by name; pip's default for Linux brings gigabytes of CUDA.
RUN pip install --no-cache-dir -c constraints.txt uv \
    && DECORTEX_COMMIT="$DECORTEX_COMMIT" uv pip install --system --no-cache --torch-backend "$TORCH_BACKEND" \
       -c constraints.txt '.[dash,s3]' \
    && if [ "$TORCH_BACKEND" = cpu ]; then \
         python -c 'import torch; assert torch.version.cuda is None, torch.__version__' \
         && ! pip list --format freeze | grep -iE '^(nvidia|cuda)-'; \
       fi
USER decortex
# Compose runs it as the account that store and backups belong to, which may have no home here.
ENV DECORTEX_STORE=/store HOME=/home/decortex
ENTRYPOINT ["decortex"]
