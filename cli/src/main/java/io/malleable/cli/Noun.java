package io.malleable.cli;

import picocli.CommandLine.Model.CommandSpec;

/**
 * The first word of a command of two, such as {@code node}.
 *
 * @param description what it stands for, for the help
 */
public record Noun(String description) {

  CommandSpec spec(String name) {
    CommandSpec spec = CommandSpec.wrapWithoutInspection(this).name(name);
    spec.addOption(BaseCommand.helpOption());
    spec.usageMessage().description(description).synopsisSubcommandLabel("COMMAND");
    return spec;
  }
}
