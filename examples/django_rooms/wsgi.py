"""What a server imports: Django behind the processes of the worker."""

import os

from django.core.wsgi import get_wsgi_application

from django_rooms.rooms import spawn_processes
from greenproc.wsgi import Middleware

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_rooms.settings")

django = get_wsgi_application()
django.greenproc = spawn_processes  # the worker calls it with its runtime
application = Middleware(django)  # gives /room-<name>/events to the process of the room
