// The firmwares' semihosting, for C++.
#pragma once
extern "C" {
#include "../firmware/c/semihosting.h"
}
