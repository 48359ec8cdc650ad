/* Arduino's main. The sketch's functions are C++'s, so they go by their names there. */
void setup(void) __asm__("_Z5setupv");
void loop(void) __asm__("_Z4loopv");

int main(void)
{
    setup();
    for (;;)
        loop();
}
