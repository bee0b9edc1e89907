// A deterministic mutation driver for builds without libFuzzer: feeds the target its seeds and
// mutations of them (bit flips, interesting integers, truncation, splices, repeats).
//
// Usage: fuzz_<name> [RUNS] [SEED]; DIPTYCH_FUZZ_RUNS sets the default of 2000 runs.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <vector>

#include "seeds.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<std::byte>;

class Mutator {
 public:
  Mutator(const std::vector<Input>& seeds, uint64_t seed) : seeds_(seeds), random_(seed) {}

  Input next() {
    Input input = seeds_[below(seeds_.size())];
    const size_t mutations = 1 + below(8);
    for (size_t i = 0; i < mutations && !input.empty(); ++i) mutate(input);
    return input;
  }

 private:
  size_t below(size_t limit) { return limit ? random_() % limit : 0; }

  void mutate(Input& input) {
    const size_t at = below(input.size());
    switch (below(7)) {
      case 0:
        input[at] ^= std::byte(1u << below(8));
        break;
      case 1:
        input[at] = std::byte(below(256));
        break;
      case 2:
        overwrite_integer(input, at);
        break;
      case 3:
        input.resize(at);
        break;
      case 4: {  // splice in a piece of a seed
        const Input& other = seeds_[below(seeds_.size())];
        const size_t from = below(other.size());
        const size_t n = std::min({below(64) + 1, other.size() - from, input.size() - at});
        std::copy_n(other.begin() + static_cast<long>(from), n,
                    input.begin() + static_cast<long>(at));
        break;
      }
      case 5: {  // repeat a piece
        const size_t n = std::min(below(64) + 1, input.size() - at);
        const Input piece(input.begin() + static_cast<long>(at),
                          input.begin() + static_cast<long>(at + n));
        input.insert(input.begin() + static_cast<long>(at), piece.begin(), piece.end());
        break;
      }
      default: {  // cut a piece out
        const size_t n = std::min(below(64) + 1, input.size() - at);
        input.erase(input.begin() + static_cast<long>(at),
                    input.begin() + static_cast<long>(at + n));
      }
    }
  }

  void overwrite_integer(Input& input, size_t at) {
    static constexpr uint64_t kInteresting[] = {0,
                                                1,
                                                2,
                                                0x7F,
                                                0x80,
                                                0xFF,
                                                0x7FFF,
                                                0x8000,
                                                0xFFFF,
                                                0x7FFFFFFF,
                                                0x80000000,
                                                0xFFFFFFFF,
                                                0x7FFFFFFFFFFFFFFF,
                                                0x8000000000000000,
                                                0xFFFFFFFFFFFFFFFF,
                                                0xFFFFFFFFFFFFFFC0};
    const uint64_t value = kInteresting[below(std::size(kInteresting))] + below(3) - 1;
    const size_t width = std::min<size_t>(size_t{1} << below(4), input.size() - at);
    std::memcpy(&input[at], &value, width);
  }

  const std::vector<Input>& seeds_;
  std::mt19937_64 random_;
};

void run(const Input& input) {
  // An exact-size heap copy, so that AddressSanitizer sees a read past the end.
  const std::vector<std::byte> copy(input.begin(), input.end());
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(copy.data()), copy.size());
}

}  // namespace

int main(int argc, char** argv) {
  const char* configured = std::getenv("DIPTYCH_FUZZ_RUNS");
  const long runs = argc > 1 ? std::atol(argv[1]) : configured ? std::atol(configured) : 2000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const auto seeds = fuzz_seeds();
  if (seeds.empty()) {
    std::fprintf(stderr, "no seeds\n");
    return 1;
  }
  for (const Input& input : seeds) run(input);
  run({});
  Mutator mutator(seeds, seed);
  double slowest = 0;
  for (long i = 0; i < runs; ++i) {
    // Processor time: a busy machine is no fault of the reader. A hang ends at the test's limit.
    const std::clock_t start = std::clock();
    run(mutator.next());
    const double took = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    slowest = std::max(slowest, took);
    if (took > 10) {
      std::fprintf(stderr, "run %ld of seed %lu took %.1f s\n", i, static_cast<unsigned long>(seed),
                   took);
      return 1;
    }
  }
  std::printf("%ld mutated inputs, %zu seeds, slowest %.3f s\n", runs, seeds.size(), slowest);
  return 0;
}
