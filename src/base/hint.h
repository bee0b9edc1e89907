// What an error tells its front end beyond the message, as values: a library does not know whether
// a command line, a server or a program asked it, so it names no option and no command. The front
// end has the words (cli/hints.h).
#pragma once

#include <cstdint>

namespace diptych {

// The setting whose value is wrong. Its name comes before the message.
enum class Setting : uint8_t {
  None,
  ContextLength,
  InputLength,
  PrefillLengths,
  VerifyLength,
  MostUnshared,
  SplitSize,
  MostSplits,
  FormatOverride,
  Algorithm,
  Calibration,
  TargetSize,
};

// What may help. It comes after the message.
enum class Advice : uint8_t {
  None,
  LongerContext,     // fewer tokens, or an export with a longer context
  ForgetTurns,       // turns taken back, or conversations that forget their oldest ones
  AllLogits,         // an export whose methods give the logits of all positions
  LongerInput,       // smaller sizes, or an export with methods of `number` tokens
  GreedyDecoding,    // nothing that draws tokens or changes or tells their logits
  WiderNumerics,     // numerics that do not round to fp16
  NameTokenizer,     // a tokenizer beside the file that carries none
  NameChatTemplate,  // a chat template beside the file that carries none
  LeaveTokenizer,    // an export without the tokenizer
  NameParams,        // Meta's params.json, which is not beside the checkpoint
  NameCalibration,   // a text to calibrate with
  WiderType,         // an export in fp32
  OnePackage,        // an export without graph breaks
  OtherFamily,       // another family, or the form that can say all
  FamilysForm,       // a form that the family's programs read
  ReplaceModel,      // another directory, or what is in this one replaced
  MergeParts,        // the tool that makes one file of the parts
};

struct Hint {
  Advice advice = Advice::None;
  int64_t number = 0;  // of advice that has one
  bool operator==(const Hint&) const = default;
};

}  // namespace diptych
