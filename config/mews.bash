# bash completion for mews(1)

_mews()
{
	local cur prev words cword
	_init_completion || return

	case $prev in
	-c | --config)
		_filedir conf
		return
		;;
	--runtime-dir)
		_filedir -d
		return
		;;
	--instance)
		return
		;;
	esac

	if [[ $cur == -* ]]; then
		local options="-c --config"

		case ${words[1]} in
		explain | drain | enable | top)
			options+=" --runtime-dir --instance"
			;;
		status)
			options+=" --runtime-dir --instance --json --watch"
			;;
		events)
			options+=" --runtime-dir --instance -f --follow"
			;;
		-* | "")
			options="--help --version"
			;;
		esac
		# shellcheck disable=SC2207 # options have no blanks
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
	elif [[ $cword -eq 1 ]]; then
		# shellcheck disable=SC2207 # names of commands have no blanks
		COMPREPLY=($(compgen -W \
		    "$(mews --help | sed -n 's/^  \([a-z]\{1,\}\)  .*/\1/p')" \
		    -- "$cur"))
	fi
} &&
complete -F _mews mews
