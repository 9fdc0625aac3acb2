/* words.h: which words mean what, to a reader who looks for attempts at a model. The
 * lists are ours; words of one class are about interchangeable in the rules. */
#ifndef WORDS_H
#define WORDS_H

#define CLASSES(X) \
    X(OVERRIDE) X(PRIOR) X(ORDERS) X(SECRET) X(PERSONAL) X(ASK) X(SAY) X(YOUR) X(USER) X(MODE) X(PRETEND) X(IMAGINE) \
    X(NOW) X(YOU) X(ARE) X(AS) X(NO) X(LIMITS) X(FREE) X(EVIL) X(VENDOR) X(CHARACTER) X(ANSWER) X(MATTER) X(ALWAYS) X(NEVER) \
    X(TWO) X(DAN) X(STANDS) X(FROM) X(ON) X(STAY) X(CODED) X(PARTS) X(AUTHORITY) X(SHARE) X(INSTEAD) X(ARTICLE) \
    X(HOWTO) X(GUIDE) X(VIOLENCE) X(PERSON) X(CRIME) X(DRUG) X(WEAPON) X(ATTACK) X(WRITE) X(EVADE) X(CAUGHT) X(STEAL) \
    X(GOODS) X(PRIVATE) X(KIN) X(DEFENCE) X(HATE) X(GROUP) X(FALSEHOOD) X(TARGET) X(TERMS) X(MACHINE) X(WHY) X(I)

enum {
#define X(name) C_##name,
    CLASSES(X)
#undef X
    CLASS_COUNT
};
typedef uint64_t classes;
#define BIT(name) ((classes)1 << C_##name)

/* Words of a class, apart by blanks. Those that are not ASCII are looked for inside of
 * other letters, too: not all scripts put blanks between words. */
static const struct {
    uint8_t class;
    const char *words;
} lists[] = {
    {C_OVERRIDE, "ignore ignores ignoring ignored disregard disregarding forget overlook neglect override overrides overriding bypass bypassing "
                 "ignora ignorar ignorez ignorer ignoriere ignorieren olvida olvidate ignorad oubliez oublie vergiss vergessen esqueca esquece dimentica "
                 "abaikan lupakan unut yoksay kalimutan "
                 "olvídate esqueça забудь забудьте игнорируй игнорируйте проигнорируйте 忽略 无视 無視 忘れて 무시 잊어 تجاهل انس अनदेखी नज़रअंदाज़ উপেক্ষা ละเว้น เพิกเฉย αγνοήστε αγνόησε"},
    {C_PRIOR, "told previous previously prior above earlier before preceding past already given former till "
              "anterior anteriores precedenti precedente precedentes prima vorherigen vorherige vorigen sebelumnya önceki nakaraang "
              "précédentes précédente предыдущие предыдущих предыдущую 之前 以前 前の 以上 이전 السابقة السابق पिछले পূর্ববর্তী আগের προηγούμενες προηγούμενη trước ก่อนหน้า"},
    {C_ORDERS, "instructions instruction rules rule prompt prompts guidelines guideline directions directives commands orders messages inputs "
               "constraints conversation conversations "
               "instrucciones reglas instrucoes regras istruzioni regole anweisungen regeln consignes instruksi aturan "
               "instruções instrucţiuni инструкции инструкций указания 指示 指令 指令を 说明 지시 지침 التعليمات निर्देशों निर्देश নির্দেশাবলী নির্দেশ οδηγίες hướng talimatları คำสั่ง คําแนะนํา"},
    {C_SECRET, "password passwords passcode passcodes passphrase passphrases credential credentials pin passwort passworts contrasena senha wachtwoord "
               "contraseña şifre şifresi şifreyi пароль пароля паролем 密码 パスワード 비밀번호 암호 كلمة_المرور पासवर्ड পাসওয়ার্ড รหัสผ่าน κωδικός motdepasse"},
    {C_PERSONAL, "birthday birth birthdate initials maiden ssn salary balance residence whereabouts ip "
                 "nacimiento geburtsdatum nascimento nascita naissance kelahiran doğum जन्म জন্ম الميلاد 生日 誕生日 생년월일 生年月日"},
    {C_ASK, "what whats tell give gimme reveal share provide confirm disclose show spell write print repeat send say where who "
            "dime dame cual quel quelle qual quale wie wo dis donnez sag decir decirme onde donde dove nasıl nerede saan ano "
            "cuál где какой какая скажи 告诉 教えて 何ですか 알려 무엇 أخبرني क्या बता कहां কি কোথায় πού อะไร"},
    {C_SAY, "say state output print repeat respond reply declare claim answer"},
    {C_YOUR, "your yours tu tuo tua seu sua dein deine ihr ihre votre ton ta su आपका আপনার твой ваш"},
    {C_USER, "user users customer customers employee employees usuario utente usuário utilisateur benutzer pengguna kullanıcının उपयोगकर्ता пользователь المستخدم 用户 ユーザー 사용자 χρήστης ব্যবহারকারী"},
    {C_MODE, "mode modus modo maintenance debug developer sudo root reset admin administrator override"},
    {C_PRETEND, "pretend pretending roleplay roleplaying role rp simulate simulating impersonate act acting persona emulate embody immerse transform become behave portray"},
    {C_IMAGINE, "imagine suppose hypothetical hypothetically fictional scenario parallel universe dystopian virtual "
                "imagina imagine imaginez immagina stell angenommen bayangkan hayal представь imaginemos कल्पना कल्पना तخيل تخيل 想象 想像 상상"},
    {C_NOW, "now henceforth onwards going ahora jetzt adesso maintenant agora"},
    {C_YOU, "you youre u ucar"},
    {C_ARE, "are re will must shall"},
    {C_AS, "as like"},
    {C_NO, "no not without never none zero free isn doesn don cannot any bypasses break broken breaks removed disabled off"},
    {C_LIMITS, "limits limitations limitation restrictions restriction restricted rules filters filter filtering guidelines ethics ethical morals moral principles censorship "
               "constraints boundaries regulations regulation policy policies bound confines safeguards laws bias warnings disclaimers"},
    {C_FREE, "unfiltered uncensored unrestricted unlimited amoral unhinged unbound unethical immoral jailbroken jailbreak unshackled unconstrained nofilter lawless"},
    {C_EVIL, "illegal immoral unethical evil malevolent offensive vulgar profanity swear curse explicit nsfw rude hateful toxic machiavellian inappropriate dangerous harmful derogatory slurs insult insults"},
    {C_VENDOR, "openai chatgpt gpt chatbot anthropic claude llm chat ai"},
    {C_CHARACTER, "character persona chatbot bot personality personalities alter ego game mode named called rpg simulator assistant narrator"},
    {C_ANSWER, "answer answers respond responds response responses reply replies generate generates output outputs"},
    {C_MATTER, "matter regardless"},
    {C_ALWAYS, "always every all each any everything anything"},
    {C_NEVER, "never refuse refuses decline apologize apologise sorry refusal disclaimer"},
    {C_TWO, "two both ways twice normal paragraphs tokens"},
    {C_DAN, "dan stan dude aim devmode evilbot antigpt freegpt niccolo machiavelli"},
    {C_STANDS, "stands acronym short"},
    {C_FROM, "from starting"},
    {C_ON, "on onward onwards forward"},
    {C_STAY, "stay remain keep hold break"},
    {C_CODED, "base64 rot13 morse hexadecimal hex cipher cypher decode decrypt encode binary interlace pig"},
    {C_PARTS, "part parts split concatenate variable string letters letter character reverse digits"},
    {C_AUTHORITY, "president god developer administrator creator owner maintainer engineer boss ceo enforcement police expert trainer cybersecurity presidente entwickler desenvolvedor сопровождающий"},
    {C_SHARE, "share sharing shared provide sharing confirm"},
    {C_INSTEAD, "instead rather actually"},
    {C_ARTICLE, "resume article paper webpage page document email table caption code comment"},
    {C_HOWTO, "how"},
    {C_GUIDE, "instructions instruction guide tutorial steps step detailed tips ways way list plan plans recipe methods method advice strategy"},
    {C_VIOLENCE, "kill killing murder murdering assassinate stab stabbing strangle poison poisoning shoot attack assault torture kidnap abduct rape hang behead decapitate maim beat punch hurt harm massacre "
                 "bomb bombing blow cut slaughter suicide execute destroy eliminate quartered burn lynch slap snipe sniping slit break"},
    {C_PERSON, "someone somebody person people man woman women men child children kid kids girl boy human humans guy wife husband friend girlfriend boyfriend neighbor coworker classmate "
               "teenager myself himself herself baby him her them body head throat life minority politician crowd friends family hitman"},
    {C_CRIME, "crime fraud theft burglary robbery arson genocide terrorism trafficking treason blackmail extortion bribery bribe perjury embezzle launder laundering smuggle smuggling counterfeit counterfeiting forge forging "
              "vandalize vandalism hijack ransom stalk stalking harass harassment harassing bullying bully sabotage tamper tampering plagiarize scam scamming scams cheat swindle defraud rig loot looting poach poaching shoplift "
              "trespass carjacking pickpocket skimming chop illegally unlawfully massacre kidnapping molest grooming brothel threatening dismembered"},
    {C_DRUG, "cocaine heroin meth methamphetamine mdma lsd fentanyl ecstasy crack ketamine ghb rohypnol opioids amphetamine dmt marijuana steroids"},
    {C_WEAPON, "bomb bombs explosive explosives grenade gun guns firearm firearms rifle ghost silencer molotov napalm anthrax ricin sarin landmine dynamite thermite toxin warfare ammunition"},
    {C_ATTACK, "malware ransomware keylogger spyware trojan rootkit virus worm exploit exploits phishing ddos botnet backdoor sqli injection spoofing brute bruteforce payload payloads hack hacking crack cracking "
               "corrupts evade rainbow dox doxx doxing wiretap"},
    {C_WRITE, "write create generate make build develop give draft compose describe explain produce post design"},
    {C_EVADE, "evade evading bypass bypassing avoid avoiding circumvent disable fool fooling trick tricking hide hiding conceal undetected secretly without covertly obfuscate past"},
    {C_CAUGHT, "caught detection detected detecting noticed traced suspicion alerting security police permission consent authentication lock locks breathalyzer"},
    {C_STEAL, "steal stealing stolen rob robbing shoplift snatch hotwire break hack pickpocket"},
    {C_GOODS, "car cars wallet wallets bank store identity money atm goods copper credit card cards house purse website database machine computer phone server voting"},
    {C_PRIVATE, "social security passport immigration history email password login ssn medical records record tax address license bank instagram facebook messages emails phone number location diagnosis criminal browsing dms snapchat whatsapp"},
    {C_KIN, "ex wife husband girlfriend boyfriend neighbor neighbors coworker boss rival rivals daughter son sister brother teacher friend colleague roommate employee landlord sisters brothers wifes mothers fathers partner therapist doctor lawyer cleaner gardener roofer babysitter nanny officer"},
    {C_DEFENCE, "detect prevent preventing block blocking monitor monitoring protect alert alerting mitigate defend authorized flagging flag identify restrict secure audit rotate"},
    {C_HATE, "inferior superior deserve deserved deserves justified right overstate exaggerate discriminate discrimination hate beneficial beaten mock slurs jokes joke stupid lazy dirty allowed should shouldn"},
    {C_GROUP, "jews jewish muslims muslim blacks black gay gays lesbians immigrants women latinos asians asian christians mexicans disabled trans transgender homeless holocaust hitler nazi nazis slavery race racial minorities refugees "
              "homosexuality gender"},
    {C_FALSEHOOD, "fake false hoax conspiracy misinformation disinformation fabricated rigged downplays denying denies vaccines cause causes posing persuading defamatory mail ballots lying smear"},
    {C_TARGET, "school schools hospital church mosque synagogue airport bridge subway train water supply grid pipeline pipelines monument artifact government embassy crowd stadium agency"},
    {C_TERMS, "system prompt context initial hidden secret"},
    {C_MACHINE, "python process program thread linux windows engine bug bugs game minecraft sims lights light time weeds mosquito mosquitos clutter photo picture hill crossword tree trees virus bacteria show"},
    {C_WHY, "why reasons explain essay"},
    {C_I, "i me my"},
};

/* When both classes stand within so many words of each other, the topic gains the
 * weight, once; a negative one loses it. A class by itself: both the same. */
enum { INJECTION, JAILBREAK, REQUEST, TOPICS };
static const struct {
    uint8_t topic, a, b, within;
    int8_t weight;
} rules[] = {
    {INJECTION, C_OVERRIDE, C_ORDERS, 6, 10},
    {INJECTION, C_OVERRIDE, C_PRIOR, 5, 6},
    {INJECTION, C_PRIOR, C_ORDERS, 4, 4},
    {INJECTION, C_OVERRIDE, C_SAY, 8, 4},
    {INJECTION, C_OVERRIDE, C_ARTICLE, 3, 4},
    {INJECTION, C_OVERRIDE, C_MODE, 3, 4},
    {INJECTION, C_SECRET, C_ASK, 9, 7},
    {INJECTION, C_SECRET, C_YOUR, 5, 6},
    {INJECTION, C_SECRET, C_SHARE, 8, 6},
    {INJECTION, C_SECRET, C_AUTHORITY, 30, 5},
    {INJECTION, C_SECRET, C_SECRET, 1, 3},
    {INJECTION, C_PERSONAL, C_USER, 6, 10},
    {INJECTION, C_PERSONAL, C_IMAGINE, 40, 6},
    {INJECTION, C_PERSONAL, C_ASK, 8, 4},
    {INJECTION, C_USER, C_ASK, 6, 4},
    {INJECTION, C_CODED, C_PARTS, 10, 6},
    {INJECTION, C_CODED, C_ASK, 12, 5},
    {INJECTION, C_CODED, C_WRITE, 30, 4},
    {INJECTION, C_AUTHORITY, C_MODE, 12, 3},
    {INJECTION, C_AUTHORITY, C_VENDOR, 8, 4},
    {INJECTION, C_VENDOR, C_MODE, 12, 7},
    {INJECTION, C_DAN, C_NOW, 6, 10},
    {INJECTION, C_ORDERS, C_TERMS, 3, 3},

    {JAILBREAK, C_DAN, C_DAN, 1, 4},
    {JAILBREAK, C_DAN, C_STANDS, 10, 6},
    {JAILBREAK, C_DAN, C_ANSWER, 10, 4},
    {JAILBREAK, C_YOU, C_PRETEND, 6, 3},
    {JAILBREAK, C_PRETEND, C_AS, 2, 3},
    {JAILBREAK, C_PRETEND, C_CHARACTER, 8, 4},
    {JAILBREAK, C_PRETEND, C_VENDOR, 8, 4},
    {JAILBREAK, C_NOW, C_YOU, 3, 4},
    {JAILBREAK, C_FROM, C_NOW, 1, 3},
    {JAILBREAK, C_NO, C_LIMITS, 5, 4},
    {JAILBREAK, C_FREE, C_FREE, 0, 2},
    {JAILBREAK, C_FREE, C_VENDOR, 12, 5},
    {JAILBREAK, C_FREE, C_CHARACTER, 10, 4},
    {JAILBREAK, C_FREE, C_ANSWER, 8, 4},
    {JAILBREAK, C_EVIL, C_MATTER, 8, 5},
    {JAILBREAK, C_EVIL, C_ANSWER, 12, 3},
    {JAILBREAK, C_EVIL, C_LIMITS, 15, 2},
    {JAILBREAK, C_VENDOR, C_LIMITS, 10, 5},
    {JAILBREAK, C_VENDOR, C_CHARACTER, 8, 3},
    {JAILBREAK, C_NEVER, C_ANSWER, 8, 3},
    {JAILBREAK, C_NEVER, C_VENDOR, 10, 3},
    {JAILBREAK, C_ALWAYS, C_ANSWER, 5, 2},
    {JAILBREAK, C_TWO, C_ANSWER, 5, 3},
    {JAILBREAK, C_STAY, C_CHARACTER, 4, 5},
    {JAILBREAK, C_STANDS, C_NOW, 6, 4},
    {JAILBREAK, C_MODE, C_ANSWER, 8, 4},
    {JAILBREAK, C_OVERRIDE, C_ORDERS, 6, 6},
    {JAILBREAK, C_YOU, C_CHARACTER, 5, 3},
    {JAILBREAK, C_ANSWER, C_AS, 4, 2},

    {REQUEST, C_VIOLENCE, C_PERSON, 5, 7},
    {REQUEST, C_VIOLENCE, C_TARGET, 5, 7},
    {REQUEST, C_VIOLENCE, C_HOWTO, 6, 3},
    {REQUEST, C_VIOLENCE, C_I, 3, 2},
    {REQUEST, C_VIOLENCE, C_MACHINE, 5, -9},
    {REQUEST, C_CRIME, C_HOWTO, 8, 6},
    {REQUEST, C_CRIME, C_GUIDE, 10, 8},
    {REQUEST, C_CRIME, C_WRITE, 8, 5},
    {REQUEST, C_CRIME, C_I, 4, 4},
    {REQUEST, C_DRUG, C_HOWTO, 8, 6},
    {REQUEST, C_DRUG, C_GUIDE, 12, 8},
    {REQUEST, C_DRUG, C_I, 5, 4},
    {REQUEST, C_DRUG, C_WRITE, 6, 4},
    {REQUEST, C_WEAPON, C_GUIDE, 10, 7},
    {REQUEST, C_WEAPON, C_WRITE, 6, 6},
    {REQUEST, C_WEAPON, C_HOWTO, 6, 5},
    {REQUEST, C_WEAPON, C_TARGET, 8, 5},
    {REQUEST, C_ATTACK, C_WRITE, 8, 7},
    {REQUEST, C_ATTACK, C_GUIDE, 8, 5},
    {REQUEST, C_ATTACK, C_HOWTO, 6, 4},
    {REQUEST, C_ATTACK, C_GOODS, 8, 4},
    {REQUEST, C_EVADE, C_CAUGHT, 4, 8},
    {REQUEST, C_STEAL, C_GOODS, 5, 6},
    {REQUEST, C_STEAL, C_HOWTO, 6, 4},
    {REQUEST, C_STEAL, C_GUIDE, 8, 5},
    {REQUEST, C_KIN, C_PRIVATE, 4, 8},
    {REQUEST, C_KIN, C_I, 1, 3},
    {REQUEST, C_HATE, C_GROUP, 10, 7},
    {REQUEST, C_WHY, C_GROUP, 10, 3},
    {REQUEST, C_WRITE, C_GROUP, 12, 4},
    {REQUEST, C_FALSEHOOD, C_WRITE, 20, 6},
    {REQUEST, C_FALSEHOOD, C_GROUP, 20, 3},
    {REQUEST, C_DEFENCE, C_DEFENCE, 0, -8},
};
enum { RULES = sizeof rules / sizeof *rules };

#endif
