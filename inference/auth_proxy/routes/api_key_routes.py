"""Routes of API keys."""

from inference.auth_proxy.auth import api_key_handlers as api_keys
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.media_types import JSON
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.auth_proxy.schemas import KeyPage, NewKey, NewKeyView

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/keys",
        handler=api_keys.list_api_keys,
        role=Role.ADMIN,
        operation_id="list_api_keys",
        tag="keys",
        summary="List the API keys",
        responses={200: DocumentedResponse("All keys, by name, without their secrets.", KeyPage)},
        api_keys=True,
    ),
    Route(
        method="POST",
        path="/keys",
        handler=api_keys.create_api_key,
        role=Role.ADMIN,
        operation_id="create_api_key",
        tag="keys",
        summary="Create an API key for a machine",
        request={JSON: NewKey},
        responses={201: DocumentedResponse("The new key with its secret, which is shown this once.", NewKeyView)},
        problems=(409,),
        api_keys=True,
        refuses_api_keys=True,
    ),
    Route(
        method="DELETE",
        path="/keys/{key_id}",
        handler=api_keys.revoke_api_key,
        role=Role.ADMIN,
        operation_id="revoke_api_key",
        tag="keys",
        summary="Delete an API key, which is refused from then on",
        responses={204: DocumentedResponse("The key is deleted.")},
        api_keys=True,
        refuses_api_keys=True,
    ),
)
