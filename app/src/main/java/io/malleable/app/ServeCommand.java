package io.malleable.app;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;

/**
 * {@code m2 serve}. Its flags are made from the table of settings, so that none can be without a
 * key of the configuration file. Loads nothing of the server before the settings are known to be
 * right.
 */
final class ServeCommand {
  private static final String CONFIG = "--config";

  private ServeCommand() {}

  static CommandSpec spec() {
    CommandSpec[] self = new CommandSpec[1];
    Callable<Integer> action = () -> run(self[0].commandLine());
    CommandSpec spec =
        CommandSpec.wrapWithoutInspection(action).name("serve").mixinStandardHelpOptions(true);
    spec.usageMessage()
        .description("Run the server.")
        .sortOptions(false)
        .footer(
            "",
            "Each flag but --config is a key of that file as well (without the dashes); a flag wins.",
            "On an empty data directory an administrator's token is made: DIR/admin-token.");
    spec.addOption(
        OptionSpec.builder(CONFIG)
            .paramLabel("FILE")
            .description("YAML file with settings.")
            .type(Path.class)
            .build());
    for (Setting setting : Setting.values()) {
      OptionSpec.Builder option =
          OptionSpec.builder(setting.flag())
              .paramLabel(setting.label())
              .description(setting.help());
      if (setting.repeatable()) {
        option.type(List.class).auxiliaryTypes(String.class);
      } else {
        option.type(String.class);
      }
      spec.addOption(option.build());
    }
    self[0] = spec;
    return spec;
  }

  /** Runs the server until it is told to stop; the exit status. */
  private static int run(CommandLine command) throws IOException, InterruptedException {
    ParseResult parsed = command.getParseResult();
    PrintWriter err = command.getErr();
    Map<Setting, String> flags = new LinkedHashMap<>();
    for (Setting setting : Setting.values()) {
      if (setting.repeatable() && parsed.hasMatchedOption(setting.flag())) {
        List<String> values = parsed.matchedOptionValue(setting.flag(), List.of());
        flags.put(setting, String.join(",", values));
      } else if (parsed.hasMatchedOption(setting.flag())) {
        flags.put(setting, parsed.matchedOptionValue(setting.flag(), ""));
      }
    }
    Settings settings;
    try {
      Path file = parsed.matchedOptionValue(CONFIG, (Path) null);
      settings =
          file == null
              ? Settings.read(flags, Map.of(), "")
              : Settings.read(flags, SettingsFile.read(file), file.toString());
    } catch (BadSettingsException e) {
      err.println("m2 serve: these settings cannot be used:");
      e.errors().forEach(error -> err.println("  " + error));
      err.flush();
      return CommandLine.ExitCode.USAGE;
    }
    Logging.start(settings.logLevel());
    try {
      return ServerProcess.run(settings, command.getOut());
    } catch (StartException e) {
      for (String line : List.of("m2 serve: " + e.getMessage() + ".", "  " + e.hint() + ".")) {
        err.println(line);
      }
      err.flush();
      return CommandLine.ExitCode.SOFTWARE;
    }
  }
}
