// From a mil function to a plan. Each kernel (kernels.h) lowers one operation, and uses this class
// to say what the operation reads, what it writes and what to run.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/arena.h"
#include "engine/executable.h"
#include "engine/looked_up.h"
#include "engine/padding.h"
#include "engine/palette.h"
#include "engine/plan.h"
#include "engine/token_axes.h"
#include "engine/weight_rows.h"
#include "mil/ir.h"
#include "mil/opset.h"

namespace diptych::engine {

// Elements that a kernel takes from where they lie: cells, or packed at any address.
struct Source {
  Place place;
  DType dtype;  // of the packed elements
  bool packed;

  // Elements [first, first+count) as cells.
  void read(const Frame& frame, uint64_t first, uint64_t count, std::byte* cells) const;
};

class Lowering {
 public:
  // Makes the plan of a function that has passed the verifier. All operations and types that are
  // not supported are listed in one error.
  static Result<Plan> lower(const mil::Function& function, const ExecutableOptions& options);

  // --- For kernels, while they lower one operation ---

  // Returns the place of a value's cells when the next emitted step runs. The first request for a
  // constant, input or weight brings it into cells.
  Result<Place> cells(const mil::Value& value);
  // The same as floats, or as integers, whichever `dtype` is. Floats are truncated to integers.
  Result<Place> cells_like(const mil::Value& value, DType dtype);
  // The same as cells(), but packed bytes stay as they are. Of a constant the step reads `rows`
  // rows.
  Result<Source> source(const mil::Value& value, int64_t rows = kAllRows);
  // Returns the rows of a weight if they can be computed from the stored bytes, else nothing. The
  // step reads `rows` of them.
  std::optional<WeightRows> weight_rows(const mil::Value& value, int64_t rows = kAllRows);
  // New cells for a result of the operation that is being lowered.
  Result<Place> result(const mil::Value& value);
  // Returns the place of something that a step of its own makes of a value: `size` bytes aligned to
  // 64, made once for all operations that ask for the same `what`. `make(place)` requests the
  // step's sources and returns its work. A step that runs together puts what it makes of all
  // executions into JointMemory, where the slot is the place's number.
  Result<Place> derived(const mil::Value& value, std::string_view what, uint64_t size,
                        const std::function<Result<Runs>(Place)>& make);
  // Returns the place of `count` floats that `compute(from, out)` makes of the elements of
  // `sources`, as floats: once, when the function is compiled, where all of these are constants or
  // what constexpr operations make of such; else by a step of its own. Made once for all operations
  // that ask for the same `what` of the first source.
  using Compute = std::function<void(const std::vector<const float*>& from, float* out)>;
  Result<Place> precomputed(const std::vector<const mil::Value*>& sources, std::string_view what,
                            uint64_t count, const Compute& compute);
  // Makes the cells of a result of constexpr operations, at compile time.
  Status unpack(const mil::Value& result);
  // Rows of int8 for a palette in the form Int8, where these are faster than looking up in place
  // and there is room for them.
  Result<std::optional<LookedUp::Rows>> looked_up(const Palette& palette);
  // Keeps a weight alive for a step that reads all of it directly.
  void keep(const WeightRef& weight);
  // Records that the step reads `rows` rows of a constant, or of the constants that a value is
  // dequantised from. Only for reads that no other request here has recorded.
  void reads(const mil::Value& value, int64_t rows = kAllRows);
  StepRows rows_of(const mil::Value& x) const { return engine::rows_of(x, token_axes_); }
  // Whether the step of an operation that skips padding (padding.h) must fill it in a result. In
  // typed numerics always, since all cells are rounded and overflows counted.
  bool fills_padding(const mil::Value& result) const {
    return options_.numerics == Numerics::Typed || padding_.matters(result);
  }
  const TokenAxes& token_axes() const { return token_axes_; }
  // Cells that only the next emitted step uses.
  Result<Place> scratch(uint64_t count);
  // Requests memory for each thread that computes the next step (Frame::scratch).
  void thread_scratch(uint64_t bytes);
  // Makes `result` another name of the cells of `of`: the same elements in the same order, no copy.
  void alias(const mil::Value& result, const mil::Value& of);
  // Appends the step of `op`. In typed numerics, fp16 results are rounded if the kernel table says
  // that the operation computes. `rows` and `row_multiply_adds` are those of StepWork.
  void emit(const mil::Op& op, Runs run, StepRows rows = {},
            const kernels::ByArithmetic<uint64_t>& row_multiply_adds = {});

  Numerics numerics() const { return options_.numerics; }
  mil::Opset opset() const { return opset_; }

 private:
  Lowering(const mil::Function& function, const ExecutableOptions& options)
      : function_(function),
        opset_(mil::opset_from_name(function.opset).value_or(mil::kLastOpset)),
        options_(options) {}

  Status lower_all();
  Status lower_op(const mil::Op& op);
  Status place_arena();
  const mil::Value& resolve(const mil::Value& value) const;
  Place add_place(PlaceInfo info);
  void touch(Place place) { draft_.places.push_back(place); }
  void append(Step step);
  // The type under which an input or output is bound (ExecutableOptions::wide_ports).
  TensorType port_type(const mil::Value& value) const;
  Result<uint64_t> cell_bytes(const TensorType& type);
  void reads(const WeightRef& weight, int64_t rows);
  Status take_constant_bytes(uint64_t bytes);
  Place constant_place(std::vector<uint32_t> cells);
  // The elements of a constant, or of what a constexpr operation makes, as floats.
  Result<std::vector<float>> unpacked(const mil::Value& value);
  Result<Place> constant_cells(const mil::Value& value);
  Result<Place> input_cells(const mil::Value& value);
  Place input_place(const mil::Value& value);
  Result<Place> output_cells(const mil::Value& value);

  // The steps between which an arena place is in use; both inclusive.
  struct Lifetime {
    size_t first, last;
  };

  const mil::Function& function_;
  const mil::Opset opset_;
  ExecutableOptions options_;
  Plan plan_;
  std::map<const mil::Value*, Place> cells_, packed_;
  std::map<const Weight*, Place> constants_;
  std::map<std::pair<const mil::Value*, std::string>, Place> derived_;
  std::map<const mil::Value*, const mil::Value*> aliases_;
  std::map<const mil::Value*, size_t> input_index_;
  std::map<const mil::Op*, std::string> near_weights_;
  // What the step that is emitted next uses.
  struct Draft {
    std::vector<Place> places;
    std::vector<WeightRead> weights;
  };
  Draft draft_;
  TokenAxes token_axes_;
  Padding padding_;
  std::map<Place, Lifetime> lifetimes_;
  uint64_t constant_bytes_ = 0;
  int layer_ = -1;  // of the last operation whose weights tell, StepWork::layer
};

}  // namespace diptych::engine
