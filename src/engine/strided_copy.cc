#include "engine/strided_copy.h"

#include <cstring>

namespace diptych::engine {
namespace {

constexpr int64_t kCopyGrain = 1 << 15;  // elements worth a thread of their own

// to[i * to_step] = from[i * from_step], in cells.
void copy_run(const std::byte* from, int64_t from_step, int64_t n, std::byte* to, int64_t to_step) {
  if (from_step == 1 && to_step == 1) {
    std::memcpy(to, from, static_cast<size_t>(n * kCellSize));
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    std::memcpy(to + i * to_step * kCellSize, from + i * from_step * kCellSize, kCellSize);
  }
}

template <class Copy>
void for_each_run(const Frame& frame, const StridedLoop<1>& loop, Copy copy) {
  const int64_t length = loop.run_length();
  frame.pool.parallel_for(
      loop.runs(), std::max<int64_t>(kCopyGrain / length, 1), [&](int64_t first, int64_t last) {
        loop.walk(first, last, [&](int64_t run, const StridedLoop<1>::Offsets& at) {
          copy(at[0] * kCellSize, run * length * kCellSize, length);
        });
      });
}

}  // namespace

void copy_view(const Frame& frame, const StridedLoop<1>& loop, const std::byte* from, int64_t base,
               std::byte* to) {
  from += base * kCellSize;
  const int64_t step = loop.steps()[0];
  for_each_run(frame, loop, [&](int64_t there, int64_t here, int64_t n) {
    copy_run(from + there, step, n, to + here, 1);
  });
}

void write_view(const Frame& frame, const StridedLoop<1>& loop, const std::byte* from,
                std::byte* to, int64_t base) {
  to += base * kCellSize;
  const int64_t step = loop.steps()[0];
  for_each_run(frame, loop, [&](int64_t there, int64_t here, int64_t n) {
    copy_run(from + here, 1, n, to + there, step);
  });
}

void copy_strided(const StridedLoop<2>& loop, const std::byte* from, std::byte* to) {
  loop.walk(0, loop.runs(), [&](int64_t /*run*/, const StridedLoop<2>::Offsets& at) {
    copy_run(from + at[0] * kCellSize, loop.steps()[0], loop.run_length(), to + at[1] * kCellSize,
             loop.steps()[1]);
  });
}

Status emit_view(const mil::Op& op, const mil::Value& result_value, Lowering& lowering,
                 const mil::Value& x_value, const View& view) {
  const Place x = TRY(lowering.cells(x_value));
  const Place result = TRY(lowering.result(result_value));
  lowering.emit(op, [=, base = view.base, loop = view.loop()](const Frame& frame) -> Status {
    copy_view(frame, loop, frame.bytes(x), base, frame.bytes(result));
    return {};
  });
  return {};
}

}  // namespace diptych::engine
