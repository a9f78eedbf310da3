# One image for every role. The dependencies are a layer of their own: they change seldom and are large.
FROM python:3.11-slim AS build
RUN pip install --no-cache-dir "uv>=0.9"
WORKDIR /app
COPY requirements.lock pyproject.toml README.md ./
RUN uv venv /opt/venv && VIRTUAL_ENV=/opt/venv uv pip install --no-cache --require-hashes -r requirements.lock
COPY topics topics
COPY models models
COPY recall recall
COPY streams streams
RUN VIRTUAL_ENV=/opt/venv uv pip install --no-cache --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 throughbeat
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
USER throughbeat
WORKDIR /home/throughbeat
# Else a volume that is mounted there belongs to root.
RUN mkdir -p .throughbeat/models .throughbeat/cooccurrence
ENTRYPOINT ["throughbeat"]
CMD ["--help"]
