/* array.h: arrays that grow. */
#ifndef ARRAY_H
#define ARRAY_H

/* Makes room for n items of a size; p is the address of the pointer to them. False
 * if there is no memory, and then all is as it was. */
static bool room(void *p, uint32_t *cap, uint32_t n, uint32_t size)
{
    if (n <= *cap)
        return true;
    uint64_t more = *cap ? 2 * (uint64_t)*cap : 64;
    while (more < n)
        more *= 2;
    if (more * size > 0x40000000)
        return false;
    void *old, *q = sw_alloc((uint32_t)more * size, 16);
    if (!q)
        return false;
    memcpy(&old, p, sizeof old);
    memcpy(q, old, *cap * size);
    sw_free(old, *cap * size, 16);
    memcpy(p, &q, sizeof q);
    *cap = (uint32_t)more;
    return true;
}

#endif
