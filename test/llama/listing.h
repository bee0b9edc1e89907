// The operation listings of upstream's programs (shared/data/golden/mil/*.txt), and a digest of
// data flow by which a listed function and one of ours can be compared whatever their order and
// names.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::llama {

// A function as data flow: what the comparison looks at.
struct Flow {
  struct Node {
    std::string op;    // "" for an input, "const" for a constant
    std::string type;  // of the result
    std::string text;  // name of an input, value of a constant
    std::map<std::string, std::vector<std::string>> operands;  // names of nodes by parameter
  };
  std::string name;
  std::vector<std::string> inputs, outputs;  // names of nodes
  std::map<std::string, Node> nodes;
  std::vector<std::string> order;  // of operations
};

// The functions of a listing. Weights that constexpr operations unpack become constants.
Result<std::vector<Flow>> read_listing(const std::string& path);
Flow flow_of(const mil::Function& function);

struct Comparison {
  bool weight_names = true;  // false where the listing's weights have lost their names
};

// How many operations of each kind and result type there are: "mul fp16[1,32,64]".
std::map<std::string, int> histogram(const Flow& flow);

// Empty when inputs, outputs and the computation of every output agree; otherwise the first
// difference. Concats of a single value count as nothing.
std::string difference(const Flow& ours, const Flow& theirs, const Comparison& comparison);

}  // namespace diptych::llama
