/* SPDX-License-Identifier: Apache-2.0 */
/* completion: scripts for bash and zsh. The frames stand here; what they know of a command it prints itself
   (flags_complete.c). */
#include "manual.h"

#include "command.h"

#include <stdio.h>
#include <string.h>

/* Words are what blanks part, so that COMP_WORDBREAKS, which parts --flag=value as well, decides about nothing but how
   much of the word a reply replaces. */
static const char BASH_HEAD[] =
    "# bash completion for obsagent, made by `obsagent help completion bash`\n"
    "\n"
    "# Sets flags, or words and kind, for command:flags, command:--flag or command:place.\n"
    "_obsagent_about()\n"
    "{\n"
    "    case $1 in\n";

static const char BASH_TAIL[] =
    "    esac\n"
    "}\n"
    "\n"
    "# --name, -name and --name=value without what is not the name.\n"
    "_obsagent_bare()\n"
    "{\n"
    "    local name=${1#-}\n"
    "    name=${name#-}\n"
    "    printf '%s' \"${name%%=*}\"\n"
    "}\n"
    "\n"
    "_obsagent_replies()\n"
    "{\n"
    "    local lead=$1 typed=$2 reply\n"
    "    [[ -z $words ]] || mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$typed\")\n"
    "    if [[ $kind == file ]]; then\n"
    "        while IFS= read -r reply; do COMPREPLY+=(\"$reply\"); done < <(compgen -f -- \"$typed\")\n"
    "        compopt -o filenames 2>/dev/null\n"
    "    elif [[ $kind == dir ]]; then\n"
    "        while IFS= read -r reply; do COMPREPLY+=(\"$reply\"); done < <(compgen -d -- \"$typed\")\n"
    "        compopt -o filenames 2>/dev/null\n"
    "    fi\n"
    "    [[ $COMP_WORDBREAKS == *=* || -z $lead ]] || COMPREPLY=(\"${COMPREPLY[@]/#/$lead}\")\n"
    "}\n"
    "\n"
    "_obsagent()\n"
    "{\n"
    "    local line=${COMP_LINE:0:COMP_POINT} command=run first=1 place=0 flag= flags= words= kind= i\n"
    "    local -a typed\n"
    "    COMPREPLY=()\n"
    "    read -ra typed <<<\"$line\"\n"
    "    [[ $line == *[[:blank:]] ]] && typed+=('')\n"
    "    local n=$((${#typed[@]} - 1))\n"
    "    local now=${typed[n]}\n"
    "    if ((n == 1)) && [[ $now != -* ]]; then\n"
    "        words=$_obsagent_commands\n"
    "        _obsagent_replies '' \"$now\"\n"
    "        return\n"
    "    fi\n"
    "    [[ ${typed[1]} == -* ]] || command=${typed[1]} first=2\n"
    "    _obsagent_about \"$command:flags\"\n"
    "    for ((i = first; i < n; i++)); do\n"
    "        flag=\n"
    "        case ${typed[i]} in\n"
    "        -*=*) ;;\n"
    "        -*)\n"
    "            flag=--$(_obsagent_bare \"${typed[i]}\")\n"
    "            if [[ \" $flags \" == *\" $flag= \"* ]]; then ((++i)); else flag=; fi\n"
    "            ;;\n"
    "        *) ((++place)) ;;\n"
    "        esac\n"
    "    done\n"
    "    ((i > n)) || flag=\n"
    "    if [[ -n $flag ]]; then\n"
    "        _obsagent_about \"$command:$flag\"\n"
    "        _obsagent_replies '' \"$now\"\n"
    "    elif [[ $now == -*=* ]]; then\n"
    "        flag=${now%%=*}\n"
    "        _obsagent_about \"$command:--$(_obsagent_bare \"$flag\")\"\n"
    "        _obsagent_replies \"$flag=\" \"${now#*=}\"\n"
    "    elif [[ $now == -* ]]; then\n"
    "        [[ $now == --* || $now == - ]] || flags=${flags//--/-}\n"
    "        words=$flags\n"
    "        _obsagent_replies '' \"$now\"\n"
    "        [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null\n"
    "    else\n"
    "        _obsagent_about \"$command:$place\"\n"
    "        _obsagent_replies '' \"$now\"\n"
    "    fi\n"
    "}\n"
    "\n"
    "complete -F _obsagent obsagent\n";

static const char ZSH_HEAD[] =
    "#compdef obsagent\n"
    "# zsh completion for obsagent, made by `obsagent help completion zsh`\n"
    "\n"
    "_obsagent()\n"
    "{\n"
    "    local -a commands\n"
    "    local command=run\n"
    "    commands=(\n";

static const char ZSH_MIDDLE[] =
    "    )\n"
    "    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n"
    "        _describe -t commands command commands\n"
    "        return\n"
    "    fi\n"
    "    if [[ $words[2] != -* ]]; then\n"
    "        command=$words[2]\n"
    "        shift words\n"
    "        (( CURRENT-- ))\n"
    "    fi\n"
    "    case $command in\n";

static const char ZSH_TAIL[] =
    "    esac\n"
    "}\n"
    "\n"
    "if [ \"$funcstack[1]\" = _obsagent ]; then\n"
    "    _obsagent \"$@\"\n"
    "else\n"
    "    compdef _obsagent obsagent\n"
    "fi\n";

static void print_bash(void)
{
    size_t n;
    const struct command *commands = command_list(&n);
    fputs(BASH_HEAD, stdout);
    manual_commands("bash");
    fputs(BASH_TAIL, stdout);
    printf("_obsagent_commands='");
    for (size_t i = 0; i < n; i++)
        printf("%s%s", i ? " " : "", commands[i].name);
    printf("'\n");
}

static void print_zsh(void)
{
    size_t n;
    const struct command *commands = command_list(&n);
    fputs(ZSH_HEAD, stdout);
    for (size_t i = 0; i < n; i++) {
        printf("        '%s:", commands[i].name);
        for (const char *p = commands[i].help; *p; p++) {
            if (*p == '\'')
                fputs("'\\''", stdout);
            else
                printf("%s%c", strchr(":\\", *p) ? "\\" : "", *p);
        }
        printf("'\n");
    }
    fputs(ZSH_MIDDLE, stdout);
    manual_commands("zsh");
    fputs(ZSH_TAIL, stdout);
}

bool completion_print(const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        print_bash();
    else if (strcmp(shell, "zsh") == 0)
        print_zsh();
    else
        return false;
    return true;
}
