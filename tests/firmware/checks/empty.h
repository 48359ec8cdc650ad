/* A model that does nothing: the program with it is what others' sizes are compared with. */
#include <stdint.h>

#define EMPTY_INPUT_LEN 4
#define EMPTY_OUTPUT_LEN 4
typedef struct { int8_t data[4]; } empty_t;
static inline int8_t *empty_input(empty_t *m) { return m->data; }
static inline void empty_run(empty_t *m) { (void)m; }
static inline const int8_t *empty_output(const empty_t *m) { return m->data; }
