"""The reverse proxy people would write: FastAPI, a JWT checked by PyJWT, one pooled httpx client."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import jwt
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response

KEY = jwt.PyJWK.from_json(os.environ["BENCH_KEY"]).key
BACKEND = os.environ["BENCH_BACKEND"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=BACKEND) as app.state.client:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/{path:path}")
async def forward(path: str, request: Request) -> Response:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        jwt.decode(token, KEY, algorithms=["RS256"], audience="product-classifier")
    except jwt.PyJWTError as error:
        raise HTTPException(401) from error
    passed = ("content-type", "inference-header-content-length")
    headers = {name: value for name, value in request.headers.items() if name in passed}
    reply = await request.app.state.client.post(f"/{path}", content=await request.body(), headers=headers)
    passed_back = {name: value for name, value in reply.headers.items() if name in passed}
    return Response(reply.content, reply.status_code, passed_back)


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), access_log=False, log_level="warning")
