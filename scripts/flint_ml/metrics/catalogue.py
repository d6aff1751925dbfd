"""The metrics that are known by their name: label, what is better, and how they are computed from predictions.

A new metric is one entry of :data:`METRICS`, with a :class:`Score` where predictions of both sides shall give it a
confidence interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from flint_ml.metrics import scores as s
from flint_ml.metrics.scores import Score

Direction = Literal["lower", "higher", "zero", "none"]
# Place in a table of a metric that is not in the catalogue.
UNKNOWN_RANK = 500


@dataclass(frozen=True)
class Metric:
    """A metric that is known by its name.

    Attributes
    ----------
    label
        How papers write it.
    names
        Names in files, without case and separators, separated by blanks.
    direction
        ``lower``, ``higher`` or ``zero`` is better; ``none``: a change is neither.
    scores
        What a metric of this name may have been computed as; the first that gives the values in the files counts.
    percent
        Whether a change in per cent of the base means something (not for R² or a bias, whose zero is arbitrary
        or their target).
    decides
        Whether a change counts for the verdict; a running time does not.
    least, most
        Bounds of its values, where the definition has them: a value beyond says that the number is something else
        (an error with its sign turned, a share written as per cent).
    """

    label: str
    names: str
    direction: Direction
    scores: tuple[Score, ...] = ()
    percent: bool = False
    decides: bool = True
    least: float | None = None
    most: float | None = None

    @property
    def spelt(self) -> frozenset[str]:
        """Names that stand for the label alone, and so are shown as it."""
        short = {name for name in self.names.split() if len(name) <= 12}
        return frozenset({*short, self.label.lower(), *_SPELT.get(self.label, ())})

    @property
    def rank(self) -> int:
        """Place in a table: the order of the catalogue, with those that are neither better nor worse at the end."""
        return _RANKS[self.label] + (2 * UNKNOWN_RANK if self.direction == "none" else 0)


def _error(label: str, names: str, *scores: Score, least: float | None = 0.0) -> Metric:
    """A metric of which less is better and none is nothing, so that per cent mean something."""
    return Metric(label, names, "lower", scores, percent=True, least=least)


def _gain(label: str, names: str, *scores: Score) -> Metric:
    return Metric(label, names, "higher", scores)


def _share(label: str, names: str, *scores: Score) -> Metric:
    """A gain from 0 to 1."""
    return Metric(label, names, "higher", scores, least=0.0, most=1.0)


def _rate(label: str, names: str, *scores: Score) -> Metric:
    """A share from 0 to 1 of which less is better."""
    return Metric(label, names, "lower", scores, percent=True, least=0.0, most=1.0)


def _unit(label: str, names: str, *scores: Score) -> Metric:
    """A gain of at most 1, and without a lower bound (R²) or one below zero (a correlation)."""
    return Metric(label, names, "higher", scores, most=1.0)


def _shown(label: str, names: str, direction: Direction = "none") -> Metric:
    """A metric that is shown and decides nothing, unless a rule says how it is to be judged."""
    return Metric(label, names, direction, percent=True, decides=False)


# The order is that of papers and of tables. Names are those that libraries write: scikit-learn's metrics and scorers,
# Keras, torchmetrics, yardstick and caret, mlr3, XGBoost, LightGBM, YOLO; the table in docs/metrics.md is held to them.
METRICS = (
    # -- regression: errors
    _error(
        "RMSE",
        "rmse rmsep rmsecv rmsec rmsd rmsev rms ubrmse urmse ubrmsd rootmeansquarederror rootmeansquareerror "
        "rootmeansquareddeviation unbiasedrootmeansquarederror",
        Score("rmse", "regression", "squared error", s.rmse, ratio=True),
    ),
    _error(
        "MAE",
        "mae l1 meanabsoluteerror meanabserror meanabsolutedeviation",
        Score("mae", "regression", "absolute error", lambda x: x["abs"] / x["n"], ratio=True),
    ),
    _error(
        "MSE",
        "mse l2 msep meansquarederror meansquareerror meansqerror",
        Score("mse", "regression", "squared error", lambda x: x["e2"] / x["n"], ratio=True),
    ),
    _error("RMSLE", "rmsle rmsl rootmeansquaredlogerror rootmeansquaredlogarithmicerror"),
    _error("MSLE", "msle meansquaredlogerror meansquaredlogarithmicerror"),
    _error(
        "MAPE",
        "mape mmape mdape mare mre meanrelativeerror meanabsoluterelativeerror medianabsolutepercentageerror "
        "meanabsolutepercentageerror meanabsolutepercenterror meanabspercentageerror",
    ),
    _error("sMAPE", "smape symmetricmeanabsolutepercentageerror symmetricmeanabsolutepercenterror"),
    _error("WMAPE", "wmape wape nd weightedmeanabsolutepercentageerror"),
    _error("MASE", "mase meanabsolutescalederror owa rmsse"),
    _error(
        "NRMSE", "nrmse rrmse rsr rmspe rmserelative relativermse normalizedrmse normalizedrootmeansquarederror cvrmse"
    ),
    _error("MedAE", "medae medianabsoluteerror"),
    _error("MedSE", "medse mediansquarederror"),
    _error("max error", "maxerror maxae maxse maxabsoluteerror maximumerror maxsquarederror"),
    _error("relative error", "rae rse rrse relativeabsoluteerror relativesquarederror rootrelativesquarederror"),
    _error("absolute error", "absoluteerror abserror absolutepercentageerror percentageerror ae ape sae"),
    _error(
        "squared error",
        "squarederror sse rss press predictedresidualsumofsquares mspe meansquaredpredictionerror gcv mseresid "
        "residualsumofsquares sumofsquarederrors sle",
    ),
    _error("SEP", "sep sepc secv standarderrorofprediction standarderrorofcalibration residualstandarderror"),
    _error("SB", "sb squaredbias biassquared"),
    _error("NU", "nu nonunity nonunityslope"),
    _error("LC", "lc lackofcorrelation"),
    _error("CRPS", "crps continuousrankedprobabilityscore"),
    _error(
        "interval score",
        "intervalscore meanintervalscore msis mis weightedintervalscore wis winklerscore winkler",
        *(
            Score(f"interval-score-{level:g}", "regression", "interval score", s.interval_score(level), needs="width")
            for level in (0.9, 0.95, 0.8, 0.5, 0.99)
        ),
    ),
    Metric(
        "coverage",
        "coverage picp predictionintervalcoverage intervalcoverage predictionintervalcoverageprobability",
        "none",
        (Score("coverage", "regression", "coverage", lambda x: x["inside"] / x["n"], needs="inside"),),
        most=1.0,
    ),
    Metric(
        "interval width",
        "mpiw pinaw intervalwidth meanintervalwidth predictionintervalwidth sharpness",
        "none",
        (Score("interval-width", "regression", "interval width", lambda x: x["width"] / x["n"], needs="width"),),
        percent=True,
    ),
    _error(
        "pinball loss",
        "pinball pinballloss meanpinballloss quantile quantileloss wquantileloss meanwquantileloss meanquantileloss "
        "wql",
    ),
    _error(
        "deviance",
        "deviance residualdeviance meanresidualdeviance poissondeviance gammadeviance tweediedeviance "
        "meanpoissondeviance meangammadeviance meantweediedeviance poissonlogloss poissonloss tweedieloss "
        "gammanloglik poissonnloglik tweedienloglik",
        least=None,
    ),
    _error("Huber loss", "huber huberloss huberlosspseudo pseudohuber pseudohuberloss mphe smoothl1 smoothl1loss fair"),
    _error("log-cosh", "logcosh logcosherror logcoshloss"),
    _error("quality distance", "minkowskidistance hausdorffdistance procrustesdisparity editdistance rocdist"),
    # -- regression: gains
    _unit(
        "R²",
        "r2 rsquared rsq r2score rsquare coefficientofdetermination adjr2 r2adj adjustedr2 adjrsquared "
        "adjustedrsquared rsqtrad q2 r2cv rsquaredadj rsquaredadjusted multiplersquared rsqadj rsq2 br2",
        R2 := Score("r2", "regression", "squared error", lambda x: 1 - x["e2"] / s.spread(x)),
        Score("r2-correlation", "regression", "correlation", s.squared_correlation),
    ),
    _gain("RPIQ", "rpiq", Score("rpiq", "regression", "squared error", lambda x: x["iqr"] / s.rmse(x), ratio=True)),
    _gain(
        "RPD",
        "rpd rpdp ratioofperformancetodeviation",
        Score("rpd", "regression", "squared error", s.rpd, ratio=True),
    ),
    _unit(
        "NSE",
        "nse nashsutcliffe nashsutcliffeefficiency mec modelefficiency modelingefficiency modellingefficiency nash "
        "nsef mnse rnse wnse ve volumetricefficiency ef",
        R2,
    ),
    _unit("KGE", "kge kgenp kgelf kgekm skge klinggupta klingguptaefficiency"),
    _unit(
        "CCC",
        "ccc lccc lin linccc linsccc rhoc concordancecorrelation concordancecorrelationcoefficient "
        "concordancecorrcoef concordance",
    ),
    _unit("index of agreement", "willmott willmottd willmottsd indexofagreement ioa iic"),
    _unit(
        "explained variance",
        "explainedvariance explainedvariancescore explainedvar varianceexplained vaf devianceexplained devexpl "
        "explaineddeviance",
    ),
    _unit(
        "D²",
        "d2 d2score d2absoluteerror d2absoluteerrorscore d2pinball d2pinballscore d2tweedie d2tweediescore "
        "d2brier d2brierscore d2logloss d2loglossscore",
    ),
    _unit(
        "correlation",
        "pearson pearsonr pearsoncorrelation pearsoncorr pearsoncorrcoef corr correlation correlationcoefficient "
        "spearman spearmanr spearmancorr spearmancorrcoef spearmanrho spearmansrho rspearman rpearson srho kendall "
        "kendalltau ktau kendallrankcorrcoef",
    ),
    _unit(
        "skill score",
        "skill skillscore trueskillstatistic tss hss heidkeskillscore heidke ets gss equitablethreatscore pss bss "
        "brierskillscore crpss",
    ),
    Metric(
        "bias",
        "bias mbe meanerror meanbiaserror meanbias me msd meansigneddeviation meansigneddifference meandeviation "
        "meansignederror signederror meanresidual meanresiduals residualmean",
        "zero",
        (
            Score("bias", "regression", "mean error", lambda x: x["e"] / x["n"]),
            Score("bias-reversed", "regression", "mean error", lambda x: -x["e"] / x["n"]),
        ),
    ),
    Metric("PBIAS", "pbias percentbias mpe meanpercentageerror relativebias rbias", "zero"),
    # -- classes
    _share(
        "accuracy",
        "accuracy acc accuracyscore overallaccuracy oa classificationaccuracy categoricalaccuracy "
        "sparsecategoricalaccuracy binaryaccuracy multiclassaccuracy multilabelaccuracy subsetaccuracy exactmatch em "
        "correctlyclassifiedinstances correctlyclassified pcc aacc macc macroaccuracy multiclassexactmatch "
        "multilabelexactmatch clusteraccuracy onezero",
        Score("accuracy", "classes", "accuracy", s.accuracy),
    ),
    _share(
        "top-k accuracy",
        "topkaccuracy topkaccuracyscore topkcategoricalaccuracy sparsetopkcategoricalaccuracy topk acctopk acck "
        "topkacc hitatk accuracytopk",
    ),
    _share(
        "balanced accuracy",
        "balancedaccuracy balancedaccuracyscore balaccuracy bacc balacc",
        Score("balanced-accuracy", "classes", "balanced accuracy", lambda x: s.mean_of_present(x, s.recall(x))),
    ),
    _share(
        "F1",
        "f1 f1score fmeasure fmeas fscore fbeta fbetascore f2 f2score f05 f05score",
        Score("f1", "classes", "f1", lambda x: s.f1(x)[:, -1]),
        Score("f1-macro", "classes", "f1", lambda x: s.mean_of_present(x, s.f1(x))),
        Score("f1-weighted", "classes", "f1", s.weighted_f1),
    ),
    _share(
        "AUC",
        "auc rocauc rocaucscore auroc aucroc roc aunu aunp rocaunu rocaunp mauc aucmu logauc concordanceindex cindex "
        "cstatistic areaunderroc concordancesurvival rocaucsurvival areaundercurve retrievalauroc mauau1u",
        AUC := Score("auc", "ranks", "auc", lambda x: np.full(len(x["n"]), np.nan)),
    ),
    _share(
        "average precision",
        "prauc auprc aucpr ap averageprecision averageprecisionscore avgprec avgprecision meanaverageprecision map "
        "bboxmap segmmap maskmap bboxap segmap aps apm apl mapk mapcut mapcutk areaunderpr precisionrecallauc map50 "
        "map75 map5095 ap50 ap75 map50b map5095b retrievalmap labelrankingaverageprecisionscore "
        "labelrankingaverageprecision multilabelrankingaverageprecision lrap rankingaverageprecision",
    ),
    _unit(
        "kappa",
        "kappa kappastatistic kap cohenkappa cohenskappa cohenkappascore quadraticweightedkappa qwk fleisskappa "
        "kappascore",
        Score("kappa", "classes", "kappa", s.kappa),
    ),
    _unit("MCC", "mcc matthewscorrcoef matthewscorrelationcoefficient matthewscorr matthews phi phicoefficient"),
    _share(
        "precision",
        "precision precisionscore prec pre ppv pospredvalue positivepredictivevalue pk usersaccuracy useraccuracy ua "
        "correctness rprecision",
        Score("precision", "classes", "precision", lambda x: s.precision(x)[:, -1]),
        Score("precision-macro", "classes", "precision", lambda x: s.mean_of_present(x, s.precision(x))),
    ),
    _share(
        "recall",
        "recall recallscore sensitivity sens tpr truepositiverate hitrate producersaccuracy produceraccuracy pa pod "
        "ar ark ar100 rk probabilityofdetection averagerecall meanrecall hit hits hr truepositive",
        Score("recall", "classes", "recall", lambda x: s.recall(x)[:, -1]),
        Score("recall-macro", "classes", "recall", lambda x: s.mean_of_present(x, s.recall(x))),
    ),
    _share("specificity", "specificity spec tnr truenegativerate npv negpredvalue negativepredictivevalue selectivity"),
    _share(
        "precision at recall",
        "precisionatrecall precisionatfixedrecall recallatprecision recallatfixedprecision "
        "sensitivityatspecificity specificityatsensitivity",
    ),
    _gain(
        "informedness",
        "jindex youden youdenj youdensj informedness markedness gmean gpr sedi dor diagnosticoddsratio "
        "positivelikelihoodratio gaincapture ginicoef gini ks ksstatistic royston",
    ),
    _share(
        "IoU",
        "iou miou meaniou iouscore jaccard jaccardscore jaccardindex jaccardsimilarity binaryiou onehotiou "
        "onehotmeaniou intersectionoverunion giou diou ciou csi criticalsuccessindex threatscore "
        "panopticquality modifiedpanopticquality pq",
    ),
    _share("Dice", "dice dicescore dicecoefficient dicecoef generalizeddice generalizeddicescore"),
    # -- ranking, text, pictures, clusters
    _gain("NDCG", "ndcg ndcgscore dcg dcgscore normalizeddcg normalizeddiscountedcumulativegain ndcgcut ndcgcutk"),
    _share("MRR", "mrr meanreciprocalrank reciprocalrank reciprank"),
    _share(
        "BLEU",
        "bleu bleuscore sacrebleu sacrebleuscore rouge rouge1 rouge2 rougel rougelsum rougescore meteor chrf "
        "chrfscore bertscore squad wip wordinfopreserved",
    ),
    _gain(
        "similarity",
        "cosinesimilarity cosinesim ssim msssim psnr peaksignalnoiseratio psnrb inceptionscore "
        "structuralsimilarity structuralsimilarityindexmeasure vif uqi clipscore snr sisnr sdr sisdr stoi pesq "
        "signalnoiseratio signaldistortionratio scaleinvariantsignaldistortionratio scaleinvariantsignalnoiseratio "
        "complexscaleinvariantsignalnoiseratio speechreverberationmodulationenergyratio "
        "shorttimeobjectiveintelligibility perceptualevaluationspeechquality deepnoisesuppressionmeanopinionscore "
        "nonintrusivespeechqualityassessment multiscalestructuralsimilarityindexmeasure universalimagequalityindex "
        "visualinformationfidelity clipimagequalityassessment videomultimethodassessmentfusion vmaf arniqa qnr "
        "qualitywithnoreference",
    ),
    _gain("silhouette", "silhouette silhouettescore calinskiharabasz calinskiharabaszscore dunnindex"),
    _gain(
        "cluster agreement",
        "rand randscore randindex ari adjustedrand adjustedrandscore adjustedrandindex nmi ami "
        "mutualinfo mutualinfoscore normalizedmutualinfo normalizedmutualinfoscore adjustedmutualinfo "
        "adjustedmutualinfoscore homogeneity homogeneityscore completenessscore vmeasure vmeasurescore "
        "fowlkesmallows fowlkesmallowsscore fowlkesmallowsindex consensusscore",
    ),
    _gain("association", "cramersv theilsu tschuprowst pearsonscontingencycoefficient spatialcorrelationcoefficient"),
    _gain("log-likelihood", "loglikelihood loglik llf elbo elpd elpdloo elpdwaic"),
    _gain("score", "score"),
    # -- losses
    _error(
        "log loss",
        "logloss crossentropy crossentropyloss bce bceloss bcewithlogits bcewithlogitsloss celoss ce "
        "binarycrossentropy categoricalcrossentropy sparsecategoricalcrossentropy mnlogloss multilogloss mlogloss "
        "binarylogloss softmaxloss crossentropylambda",
        LOG_LOSS := Score("logloss", "classes", "log loss", lambda x: x["nll"] / x["n"], ratio=True, needs="nll"),
    ),
    # That of a density may be negative.
    _error(
        "negative log-likelihood",
        "nll nllloss negloglikelihood nloglik negativeloglikelihood negloglik",
        LOG_LOSS,
        least=None,
    ),
    _error(
        "Brier score",
        "brier brierscore brierscoreloss brierclass bbrier mbrier briersurvival briersurvivalintegrated "
        "integratedbrier integratedbrierscore ibs rps rankedprobscore rankedprobabilityscore",
    ),
    _rate("calibration error", "ece mce ence calibrationerror expectedcalibrationerror maximumcalibrationerror"),
    _error("hinge loss", "hinge hingeloss squaredhinge categoricalhinge"),
    _rate("Hamming loss", "hamming hammingloss hammingdistance zeroone zerooneloss"),
    _error(
        "ranking loss",
        "rankingloss labelrankingloss coverageerror multilabelrankingloss multilabelcoverageerror lambdarank",
    ),
    _error(
        "divergence",
        "kldivergence kullbackleiblerdivergence kullbackleibler kl kld kldiv jensenshannondivergence "
        "jsd wassersteindistance energydistance mmd",
        least=None,
    ),
    _rate(
        "false positive rate",
        "fpr fallout falsepositiverate falsealarmrate far fdr falsediscoveryrate retrievalfallout commissionerror",
    ),
    _rate(
        "false negative rate",
        "fnr missrate falsenegativerate fomr falseomissionrate omissionerror negativelikelihoodratio",
    ),
    _rate(
        "error rate",
        "errorrate err misclassificationrate misclassification misclass mcr meanperclasserror maxperclasserror "
        "incorrectlyclassifiedinstances merror classificationerror classificationcost eer wer cer ter mer "
        "worderrorrate charerrorrate translationeditrate matcherrorrate wil wordinfolost multierror binaryerror "
        "extendededitdistance",
    ),
    _error("Davies-Bouldin", "daviesbouldin daviesbouldinscore inertia"),
    _error(
        "FID",
        "fid kid frechetinceptiondistance kernelinceptiondistance lpips totalvariation ergas sam "
        "spectralanglemapper learnedperceptualimagepatchsimilarity spatialdistortionindex "
        "deepimagestructureandtexturesimilarity errorrelativeglobaldimensionlesssynthesis lipvertexerror",
        least=None,
    ),
    _error("loss", "loss cost linex", least=None),
    _error("error", "error", least=None),
    _error("AIC", "aic aicc caic dic", least=None),
    _error("BIC", "bic waic loo looic hqic", least=None),
    _error("perplexity", "perplexity ppl"),
    # -- counts, and what a run costs
    Metric(
        "n",
        "n count examplecount samples totalnumberofinstances nsamples support nobs nobservations ntrain ntest nval "
        "samplecount numsamples",
        "none",
    ),
    _shown(
        "latency",
        "latency latencyms inferencetime inferencems inferencetimems predictms ms predictiontime responsetime",
        "lower",
    ),
    _shown("size", "modelsize modelsizemb sizemb modelsizebytes sizebytes memory memorymb peakmemory peakmb", "lower"),
    _shown("throughput", "throughput samplespersecond stepspersecond fps itpersecond tokenspersecond", "higher"),
    _shown("counts of hits", "truepositives truenegatives truenegative tp tn", "higher"),
    _shown("counts of misses", "falsepositives falsenegatives falsepositive falsenegative fp fn", "lower"),
    _shown(
        "spread",
        "standarderror stderror errorbar measurementerror samplingerror seasonalerror gradnorm msemodel msetotal "
        "pvalue pval fpvalue mcnemarpvalue",
    ),
    *(
        _shown(name, names)
        for name, names in {
            "seconds": "seconds sec secs s",
            "duration": "duration elapsed",
            "time": "time fittime scoretime traintime testtime walltime trainingtime totaltime timetrain timepredict "
            "timeboth elapsedtime",
            "runtime": "runtime",
            "epoch": "epoch",
            "epochs": "epochs nepochs",
            "step": "step globalstep",
            "steps": "steps nsteps iteration iterations iter",
            "timestamp": "timestamp datetime",
            "learning rate": "lr learningrate",
            "seed": "seed randomstate",
            "parameters": "params settings nestimators maxdepth numleaves mtry ntree ntrees minnodesize nfeatures "
            "batchsize bestiteration bestepoch nparams numparams nparameters numparameters parametercount totalflos "
            "flops gflops",
        }.items()
    ),
)
# Names with separators that are shown as the label.
_SPELT = {
    "R²": ("r²", "r_squared", "r2_score", "r2-score", "r^2"),
    "F1": ("f1_score", "f1-score"),
    "AUC": ("roc_auc", "auc_roc", "roc-auc"),
    "balanced accuracy": ("balanced_accuracy",),
    "log loss": ("log_loss", "log-loss", "cross_entropy"),
    "error": ("error_rate",),
    "average precision": ("pr_auc", "average_precision"),
    "explained variance": ("explained_var",),
    "bias": ("mean_error",),
}
_RANKS = {metric.label: rank for rank, metric in enumerate(METRICS)}
KNOWN = {name: metric for metric in METRICS for name in metric.names.split()}
SCORES = {score.key: score for metric in METRICS for score in metric.scores}
