# The image of `init`, `schedule` and `worker` in docker-compose.yml.
FROM python:3.12-slim
RUN useradd --create-home decortex && mkdir /store && chown decortex /store
WORKDIR /opt/decortex
COPY . .
RUN pip install --no-cache-dir -c constraints.txt .
USER decortex
ENV DECORTEX_STORE=/store
ENTRYPOINT ["decortex"]
