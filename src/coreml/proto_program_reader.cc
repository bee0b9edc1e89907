#include "coreml/proto_program_reader.h"

#include <exception>

#include "coreml/proto_value_reader.h"
#include "coreml/side_by_side.h"

namespace diptych::coreml::proto {

static void read(pbf_reader in, Binding& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(Binding::kName):
        out.binding = text(in);
        break;
      case nested(Binding::kValue):
        read(in.get_message(), select<Value>(out.binding));
        break;
      default:
        in.skip();
    }
  }
}

static void read(pbf_reader in, Argument& out) {
  while (in.next(Argument::kArguments, Wire::length_delimited)) {
    read(in.get_message(), out.arguments.emplace_back());
  }
}

static void read(pbf_reader in, Operation& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(Operation::kType):
        out.type = text(in);
        break;
      case nested(Operation::kInputs):
        read_entry(in.get_message(), out.inputs);
        break;
      case nested(Operation::kOutputs):
        read(in.get_message(), out.outputs.emplace_back());
        break;
      case nested(Operation::kBlocks):
        out.has_blocks = true;
        in.skip();
        break;
      case nested(Operation::kAttributes):
        read_entry(in.get_message(), out.attributes);
        break;
      default:
        in.skip();
    }
  }
}

static void read(pbf_reader in, Block& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(Block::kOutputs):
        out.outputs.push_back(text(in));
        break;
      case nested(Block::kOperations):
        read(in.get_message(), out.operations.emplace_back());
        break;
      default:
        in.skip();
    }
  }
}

static void read(pbf_reader in, Function& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(Function::kInputs):
        read(in.get_message(), out.inputs.emplace_back());
        break;
      case nested(Function::kOpset):
        out.opset = text(in);
        break;
      case nested(Function::kBlockSpecializations):
        read_entry(in.get_message(), out.block_specializations);
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, Program& out, FunctionEntries& functions) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case number(Program::kVersion):
        out.version = in.get_int64();
        break;
      case nested(Program::kFunctions):
        functions.add(in.get_message(), out.functions);
        break;
      default:
        in.skip();
    }
  }
}

void FunctionEntries::add(pbf_reader entry, Map<Function>& functions) {
  entries_.push_back(entry);
  if (entries_.size() == kMaxEntries) read_all(functions);
}

void FunctionEntries::read_all(Map<Function>& functions) {
  std::vector<Map<Function>> read(entries_.size());
  std::vector<std::exception_ptr> thrown(entries_.size());
  side_by_side(pool_, entries_.size(), [&](size_t i) {
    try {
      read_entry(entries_[i], read[i]);
    } catch (const protozero::exception&) {
      thrown[i] = std::current_exception();
    }
  });
  entries_.clear();
  for (const std::exception_ptr& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
  for (auto& one : read) {
    for (auto& [name, function] : one) functions[name] = std::move(function);
  }
}

}  // namespace diptych::coreml::proto
