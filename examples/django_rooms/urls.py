"""The URLs of the project. Those of the processes, /room-<name>/events, are not among them."""

from django.urls import path
from django.views.generic import RedirectView

from django_rooms import views

urlpatterns = [
    path("", RedirectView.as_view(url="/rooms/tea")),
    path("rooms/<slug:name>", views.page),
    path("rooms/<slug:name>/say", views.say),
    path("rooms/<slug:name>/lines", views.lines),
]
