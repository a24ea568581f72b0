"""Route of photos."""

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.feedback.forwarding import forward_photo
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.auth_proxy.schemas import EntityTag
from inference.photo_api import PHOTO_MEDIA_TYPES, PhotoParameters

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/photos/{sha256}",
        handler=forward_photo,
        role=Role.USER,
        operation_id="get_photo",
        tag="photos",
        summary="Return the photo of a product that the user may see, or a thumbnail",
        query=PhotoParameters,
        headers={"If-None-Match": EntityTag},
        responses={
            200: DocumentedResponse(
                "The photo.",
                bytes,
                media_types=tuple(PHOTO_MEDIA_TYPES.values()),
                headers={"ETag": "For `If-None-Match` of the next request.", "Cache-Control": "Private and immutable."},
            ),
            304: DocumentedResponse("It is that of `If-None-Match`."),
        },
        problems=(503,),
    ),
)
