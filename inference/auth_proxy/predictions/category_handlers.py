"""Handler of `/categories`."""

from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.json_handlers import read_query
from inference.auth_proxy.schemas import CategoryParameters


async def list_categories(services: GatewayDependencies, scope: Scope, _: Receive, send: Send) -> None:
    """Return the categories of the release in service, unless the client has them."""
    parameters = read_query(CategoryParameters, scope)
    document = await services.categories.find(parameters.q)
    await document.respond(scope, send)
