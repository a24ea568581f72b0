"""Read the body of a request within the limits of its route, of its user and of the process."""

from starlette.types import Receive, Scope

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import context_of
from inference.http.bodies import read_body
from inference.http.body_budget import BodyReservation


async def read_request_body(services: GatewayDependencies, scope: Scope, receive: Receive) -> bytes:
    """Return the body; its bytes count against the budget until the middleware ends the request."""
    context = context_of(scope)
    owner = f"user {context.identity.name}" if context.identity else f"address {context.client_address}"
    context.reservation = BodyReservation(services.body_budget, owner)
    return await read_body(scope, receive, context.body_limit, services.settings.body_timeout_s, context.reservation)
