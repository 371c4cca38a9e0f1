/* A surrogate as an FMI 2.0 co-simulation slave. What differs between surrogates is in model.h:
 *
 *   GUID, N_X, N_S, N_Y, N_R, N_T, HISTORY, WORK    the identity and sizes, see below
 *   KIND          STATIC: outputs follow the inputs; SERIES: outputs are interpolated between
 *                 stored times; STEPS: a state is advanced by steps of length STEP
 *   TIMES         stored times (N_T); of STEPS the first and its step apart
 *   X_START, X_LOW, X_HIGH, X_TRAINED_LOW, X_TRAINED_HIGH    of each input; S_START of each state
 *   evaluate      in = {inputs}, out = {N_T frames of outputs}; of STEPS in = {inputs, HISTORY
 *                 frames of N_S}, out = {next state (N_S), read off the present one (N_R)}
 *
 * Value references: inputs from 0, initial states from N_X, outputs from N_X + N_S, then whether
 * all inputs are in the ranges of the training. Of STEPS N_Y = N_S + N_R.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For the preprocessor, to which all names that it does not know are equal */
#define STATIC 1
#define SERIES 2
#define STEPS 3
#include "model.h"

#if defined _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef unsigned int Reference;
typedef int Boolean;
typedef enum { OK, WARNING, DISCARD, ERROR, FATAL, PENDING } Status;
typedef void (*Logger)(void *, const char *, Status, const char *, const char *, ...);
typedef struct {
    Logger logger;
    void *(*allocate)(size_t, size_t);
    void (*release)(void *);
    void (*finished)(void *, Status);
    void *environment;
} Callbacks;

#define AT_LEAST_1(n) ((n) > 0 ? (n) : 1)

typedef struct {
    double start, time;
    double x[AT_LEAST_1(N_X)];
    double first[AT_LEAST_1(N_S)];
    float history[HISTORY * AT_LEAST_1(N_S)];
    float frames[N_T * AT_LEAST_1(N_Y)]; /* of SERIES and STATIC */
    double y[AT_LEAST_1(N_Y)];
    long long steps;                     /* that have been taken */
    int is_set_up, is_answered;          /* state is the first frame; y is of now */
} State;

typedef struct {
    State state;
    Callbacks callbacks;
    char *name;
    char *work, *work_memory;
} Slave;

static Status complain(Slave *slave, Status status, const char *message, double value) {
    if (slave->callbacks.logger)
        slave->callbacks.logger(slave->callbacks.environment, slave->name, status,
                                status == WARNING ? "logStatusWarning" : "logStatusError",
                                "%s (%g)", message, value);
    return status;
}

static int is_inside(const State *s) {
    for (int i = 0; i < N_X; i++)
        if (!(s->x[i] >= X_TRAINED_LOW[i] && s->x[i] <= X_TRAINED_HIGH[i])) return 0;
    return 1;
}

static void inputs(const State *s, float *x) {
    for (int i = 0; i < N_X; i++) x[i] = (float)s->x[i];
}

#if KIND == STEPS
static void set_up(State *s) {
    if (s->is_set_up) return;
    for (int h = 0; h < HISTORY; h++)
        for (int i = 0; i < N_S; i++) s->history[h * N_S + i] = (float)s->first[i];
    s->is_set_up = 1;
}

static void shift(float *history, const float *next) {
    memmove(history, history + N_S, (HISTORY - 1) * N_S * sizeof(float));
    memcpy(history + (HISTORY - 1) * N_S, next, N_S * sizeof(float));
}

static void step(Slave *slave, const float *history, float *next, float *read) {
    float x[AT_LEAST_1(N_X)];
    inputs(&slave->state, x);
    const float *in[] = {x, history};
    float *out[] = {next, read};
    evaluate(in, out, slave->work);
}

/* Whole steps up to the time; between two of them the state is interpolated for its output alone */
static void advance(Slave *slave, double time) {
    State *s = &slave->state;
    float next[N_S], read[AT_LEAST_1(N_R)];
    set_up(s);
    while ((s->steps + 1) * STEP <= time - s->start + 1e-9 * STEP) {
        step(slave, s->history, next, read);
        shift(s->history, next);
        s->steps++;
    }
}

static void answer(Slave *slave) {
    State *s = &slave->state;
    float next[N_S], read[AT_LEAST_1(N_R)], later[AT_LEAST_1(N_R)], unused[N_S];
    float history[HISTORY * N_S];
    set_up(s);
    const double share = (s->time - s->start) / STEP - s->steps;
    const float *present = s->history + (HISTORY - 1) * N_S;
    const int between = share > 1e-9;
    if (between || N_R) step(slave, s->history, next, read);
    if (between && N_R) {
        memcpy(history, s->history, sizeof history);
        shift(history, next);
        step(slave, history, unused, later);
    }
    for (int i = 0; i < N_S; i++)
        s->y[i] = between ? present[i] + share * ((double)next[i] - present[i]) : present[i];
    for (int i = 0; i < N_R; i++)
        s->y[N_S + i] = between ? read[i] + share * ((double)later[i] - read[i]) : read[i];
}
#else
static void answer(Slave *slave) {
    State *s = &slave->state;
    if (!s->is_set_up) {
        float x[AT_LEAST_1(N_X)];
        inputs(s, x);
        const float *in[] = {x};
        float *out[] = {s->frames};
        evaluate(in, out, slave->work);
        s->is_set_up = 1;
    }
    const double time = s->time - s->start + TIMES[0];
    int k = 0;
    while (k + 2 < N_T && TIMES[k + 1] <= time) k++;
    const int next = N_T > 1 ? k + 1 : k;
    const double share = N_T > 1 ? (time - TIMES[k]) / (TIMES[next] - TIMES[k]) : 0;
    for (int i = 0; i < N_Y; i++) {
        const double before = s->frames[k * N_Y + i], after = s->frames[next * N_Y + i];
        s->y[i] = before + share * (after - before);
    }
}
#endif

/* The types and functions have the names and the order of arguments of the standard */

EXPORT const char *fmi2GetTypesPlatform(void) { return "default"; }
EXPORT const char *fmi2GetVersion(void) { return "2.0"; }

static void reset(State *s) {
    memset(s, 0, sizeof *s);
    memcpy(s->x, X_START, N_X * sizeof(double));
    memcpy(s->first, S_START, N_S * sizeof(double));
}

EXPORT void fmi2FreeInstance(void *component) {
    Slave *slave = component;
    if (!slave) return;
    free(slave->work_memory);
    free(slave->name);
    free(slave);
}

EXPORT void *fmi2Instantiate(const char *name, int kind, const char *guid, const char *resources,
                             const Callbacks *callbacks, Boolean visible, Boolean logging) {
    (void)resources, (void)visible, (void)logging;
    Slave *slave = calloc(1, sizeof *slave);
    if (!slave) return NULL;
    if (callbacks) slave->callbacks = *callbacks;
    slave->name = malloc(strlen(name) + 1);
    slave->work_memory = malloc(WORK + 16);
    if (!slave->name || !slave->work_memory) {
        fmi2FreeInstance(slave);
        return NULL;
    }
    strcpy(slave->name, name);
    slave->work = (char *)(((uintptr_t)slave->work_memory + 15) & ~(uintptr_t)15);
    if (kind != 1 || strcmp(guid, GUID) != 0) {
        complain(slave, ERROR, "co-simulation alone, and with the GUID of modelDescription", kind);
        fmi2FreeInstance(slave);
        return NULL;
    }
    reset(&slave->state);
    return slave;
}

EXPORT Status fmi2SetDebugLogging(void *c, Boolean on, size_t n, const char *const *categories) {
    (void)c, (void)on, (void)n, (void)categories;
    return OK;
}

EXPORT Status fmi2SetupExperiment(void *component, Boolean has_tolerance, double tolerance,
                                  double start, Boolean has_stop, double stop) {
    (void)has_tolerance, (void)tolerance, (void)has_stop, (void)stop;
    Slave *slave = component;
    slave->state.start = slave->state.time = start;
    return OK;
}

EXPORT Status fmi2EnterInitializationMode(void *c) { (void)c; return OK; }
EXPORT Status fmi2ExitInitializationMode(void *c) { (void)c; return OK; }
EXPORT Status fmi2Terminate(void *c) { (void)c; return OK; }

EXPORT Status fmi2Reset(void *component) {
    reset(&((Slave *)component)->state);
    return OK;
}

EXPORT Status fmi2SetReal(void *component, const Reference *which, size_t n, const double *values) {
    Slave *slave = component;
    State *s = &slave->state;
    Status status = OK;
    for (size_t i = 0; i < n; i++) {
        const Reference r = which[i];
        if (r >= N_X + N_S) return complain(slave, ERROR, "not an input: value reference", r);
        if (r >= N_X) {
            if (s->steps)
                return complain(slave, ERROR, "an initial state cannot be set after steps", r);
            if (!isfinite(values[i])) return complain(slave, ERROR, "must be finite", values[i]);
            s->first[r - N_X] = values[i];
        } else {
            if (!(values[i] >= X_LOW[r] && values[i] <= X_HIGH[r] && isfinite(values[i])))
                return complain(slave, ERROR, "an input is not admissible", values[i]);
            if (!(values[i] >= X_TRAINED_LOW[r] && values[i] <= X_TRAINED_HIGH[r]))
                status = complain(slave, WARNING, "outside the range of the training", values[i]);
            s->x[r] = values[i];
        }
        s->is_answered = 0;
        if (KIND != STEPS || r >= N_X) s->is_set_up = 0;
    }
    return status;
}

EXPORT Status fmi2GetReal(void *component, const Reference *which, size_t n, double *values) {
    Slave *slave = component;
    State *s = &slave->state;
    for (size_t i = 0; i < n; i++) {
        const Reference r = which[i];
        if (r < N_X) {
            values[i] = s->x[r];
        } else if (r < N_X + N_S) {
            values[i] = s->first[r - N_X];
        } else if (r < N_X + N_S + N_Y) {
            if (!s->is_answered) {
                answer(slave);
                for (int k = 0; k < N_Y; k++)
                    if (!isfinite(s->y[k])) return complain(slave, ERROR, "not finite", s->time);
                s->is_answered = 1;
            }
            values[i] = s->y[r - N_X - N_S];
        } else {
            return complain(slave, ERROR, "no such value reference", r);
        }
    }
    return OK;
}

EXPORT Status fmi2GetBoolean(void *component, const Reference *which, size_t n, Boolean *values) {
    Slave *slave = component;
    for (size_t i = 0; i < n; i++) {
        if (which[i] != N_X + N_S + N_Y)
            return complain(slave, ERROR, "no such value reference", which[i]);
        values[i] = is_inside(&slave->state);
    }
    return OK;
}

EXPORT Status fmi2DoStep(void *component, double time, double length, Boolean no_return) {
    (void)no_return;
    Slave *slave = component;
    State *s = &slave->state;
    const double end = time + length;
    if (!(length >= 0) || !(end >= s->time - 1e-9 * fabs(s->time)))
        return complain(slave, ERROR, "a step must lead forwards", end);
#if KIND == STEPS
    advance(slave, end);
#elif KIND == SERIES
    const double last = TIMES[N_T - 1], here = end - s->start + TIMES[0];
    if (here > last + 1e-6 * (last - TIMES[0]))
        return complain(slave, ERROR, "later than the last time that was learnt", last);
#endif
    s->time = end;
    s->is_answered = 0;
    return OK;
}

EXPORT Status fmi2GetFMUstate(void *component, void **saved) {
    if (!*saved) *saved = malloc(sizeof(State));
    if (!*saved) return ERROR;
    memcpy(*saved, &((Slave *)component)->state, sizeof(State));
    return OK;
}

EXPORT Status fmi2SetFMUstate(void *component, void *saved) {
    memcpy(&((Slave *)component)->state, saved, sizeof(State));
    return OK;
}

EXPORT Status fmi2FreeFMUstate(void *component, void **saved) {
    (void)component;
    free(*saved);
    *saved = NULL;
    return OK;
}

/* What this slave has not; masters know by modelDescription, but link against the names */
#define ABSENT(name, ...)                                                                          \
    EXPORT Status name(void *component, __VA_ARGS__) {                                             \
        return complain(component, ERROR, #name " is not available", 0);                           \
    }
ABSENT(fmi2GetInteger, const Reference *a, size_t b, int *c)
ABSENT(fmi2GetString, const Reference *a, size_t b, const char **c)
ABSENT(fmi2SetInteger, const Reference *a, size_t b, const int *c)
ABSENT(fmi2SetBoolean, const Reference *a, size_t b, const Boolean *c)
ABSENT(fmi2SetString, const Reference *a, size_t b, const char *const *c)
ABSENT(fmi2SerializedFMUstateSize, void *a, size_t *b)
ABSENT(fmi2SerializeFMUstate, void *a, char *b, size_t c)
ABSENT(fmi2DeSerializeFMUstate, const char *a, size_t b, void **c)
ABSENT(fmi2GetDirectionalDerivative, const Reference *a, size_t b, const Reference *c, size_t d,
       const double *e, double *f)
ABSENT(fmi2SetRealInputDerivatives, const Reference *a, size_t b, const int *c, const double *d)
ABSENT(fmi2GetRealOutputDerivatives, const Reference *a, size_t b, const int *c, double *d)
ABSENT(fmi2GetStatus, int a, Status *b)
ABSENT(fmi2GetRealStatus, int a, double *b)
ABSENT(fmi2GetIntegerStatus, int a, int *b)
ABSENT(fmi2GetBooleanStatus, int a, Boolean *b)
ABSENT(fmi2GetStringStatus, int a, const char **b)
EXPORT Status fmi2CancelStep(void *c) { return complain(c, ERROR, "steps are not cancelled", 0); }
