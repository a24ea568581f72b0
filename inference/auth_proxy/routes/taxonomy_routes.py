"""Routes of the taxonomy: the categories in service, and changes of them."""

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.feedback.forwarding import forward_feedback, forward_taxonomy_change
from inference.auth_proxy.media_types import JSON
from inference.auth_proxy.predictions.category_handlers import list_categories
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.auth_proxy.schemas import CategoryListView, CategoryParameters, EntityTag
from inference.feedback_api import (
    TaxonomyChangeOptions,
    TaxonomyChangePage,
    TaxonomyChangeParameters,
    TaxonomyChangeView,
)
from product_classifier.limits import TAXONOMY_CHANGE_BYTES
from product_classifier.taxonomy.change_file import ChangeFile

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/categories",
        handler=list_categories,
        role=Role.USER,
        operation_id="list_categories",
        tag="taxonomy",
        summary="List or search the categories of the release in service",
        query=CategoryParameters,
        headers={"If-None-Match": EntityTag},
        responses={
            200: DocumentedResponse(
                "The categories.", CategoryListView, headers={"ETag": "For `If-None-Match` of the next request."}
            ),
            304: DocumentedResponse("They are those of `If-None-Match`."),
        },
        problems=(503,),
    ),
    Route(
        method="GET",
        path="/taxonomy/changes",
        handler=forward_feedback,
        role=Role.REVIEWER,
        operation_id="list_taxonomy_changes",
        tag="taxonomy",
        summary="List the applied changes of the taxonomy, newest first",
        query=TaxonomyChangeParameters,
        responses={200: DocumentedResponse("A page of changes, with what each did.", TaxonomyChangePage)},
        problems=(503,),
    ),
    Route(
        method="POST",
        path="/taxonomy/changes",
        handler=forward_taxonomy_change,
        role=Role.ADMIN,
        operation_id="apply_taxonomy_change",
        tag="taxonomy",
        summary="Change the taxonomy by one step, or try a change",
        request={JSON: ChangeFile},
        query=TaxonomyChangeOptions,
        responses={
            201: DocumentedResponse("The change is applied.", TaxonomyChangeView),
            200: DocumentedResponse("The same change was applied before, or this is a dry run.", TaxonomyChangeView),
        },
        problems=(409, 503),
        body_limit=TAXONOMY_CHANGE_BYTES,
    ),
)
