"""Chat rooms in a Django project: each room is a process, which exists from its first visitor on.

In the folder above, with gunicorn or without::

    gunicorn -k greenproc.wsgi.GreenprocWorker django_rooms.wsgi:application
    greenproc serve django_rooms.wsgi:application --port 8000 --monkey-patch

Then open http://127.0.0.1:8000/rooms/tea in two windows.

====================  ==========================================================
``rooms.py``          the processes: what each room knows, and who waits for it
``views.py``          Django's side: each view dispatches, and waits for a while
``wsgi.py``           where the two meet
``settings.py``       a Django project without a database
====================  ==========================================================
"""
