// The floor of every call: a C extension that adds two Python integers and does nothing else.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *int_add(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    (void)self;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "int_add() takes 2 arguments");
        return NULL;
    }
    long long a = PyLong_AsLongLong(arguments[0]);
    if (a == -1 && PyErr_Occurred()) return NULL;
    long long b = PyLong_AsLongLong(arguments[1]);
    if (b == -1 && PyErr_Occurred()) return NULL;
    return PyLong_FromLongLong(a + b);
}

static PyMethodDef methods[] = {
    {"int_add", (PyCFunction)(void (*)(void))int_add, METH_FASTCALL, "Adds two integers."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "floor", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_floor(void) { return PyModule_Create(&module); }
